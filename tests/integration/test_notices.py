"""Notices on their way to real small servers: a webhook, GitHub's statuses, and SMTP."""

from __future__ import annotations

import datetime as dt
import ipaddress
import socket
import ssl
import threading

import pytest
import tomli_w
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from demo.receivers.mail import MailReceiver
from demo.receivers.received import Fault
from steward.__main__ import main
from steward.clients import telling
from steward.clients.github_deployments import state_of
from steward.clients.telling import SECONDS, Telling, targets_of, tell_everybody
from steward.notices.notice import Happened, Told
from steward.settings import Notices, Settings
from tests.integration.notices_ground import exposed, listening
from tests.unit.test_settings import WHOLE

pytestmark = pytest.mark.without_search


@pytest.fixture
def heard(tmp_path):
    with listening(tmp_path) as heard:
        yield heard


@pytest.fixture
def quick(monkeypatch):
    """Without the pauses between tries, which are for servers that come back."""
    monkeypatch.setattr(telling, "PAUSES_SECONDS", (0.0, 0.0))


def settings(table):
    # Of all settings, what telling reads.
    return Settings.model_construct(notices=Notices.model_validate(table), vault=None, flags=None)


def come_to(heard, target, notice=None, *, again=False, **values):
    table = {"targets": {target: {**heard.table["targets"][target], **values}}}
    return Telling(settings(table), target, notice or exposed(), again=again).come_to()


def test_each_target_is_told_in_its_own_words(heard):
    told = tell_everybody(settings({**heard.table, "pages": "https://flags.example.net"}), exposed())
    assert told == [Told(target=name, ok=True) for name in ("releases", "on-call", "deployments")]
    assert "shop-2 in production: 25 % of users have it" in heard.received.slack[0]
    assert "https://flags.example.net/rollouts/7" in heard.received.slack[0]
    (status,) = heard.received.statuses
    assert (status["deployment"], status["state"]) == (42, "in_progress")
    assert status["log_url"] == "https://flags.example.net/rollouts/7"
    (mail,) = heard.received.mails
    assert mail["subject"].startswith("[production] shop-2")
    assert mail["to"] == mail["readers"] == "on-call@example.net"
    assert mail["auto-submitted"] == "auto-generated"


def test_the_mails_of_a_rollout_are_one_thread(heard):
    for happened in (Happened.BEGUN, Happened.EXPOSED, Happened.ROLLED_BACK):
        assert come_to(heard, "on-call", exposed(happened=happened)).ok
    first, *others = heard.received.mails
    assert "in-reply-to" not in first
    assert {mail["in-reply-to"] for mail in others} == {mail["references"] for mail in others} == {first["message-id"]}
    assert len({mail["message-id"] for mail in heard.received.mails}) == 3


def test_a_target_that_is_away_for_a_moment_is_told_once_it_is_back(heard, quick):
    heard.received.faults.extend([Fault(429, headers=(("retry-after", "0"),)), Fault(503)])
    heard.received.mail_faults.append("451 try later")
    assert come_to(heard, "releases").ok
    assert come_to(heard, "on-call").ok
    assert len(heard.received.slack) == len(heard.received.mails) == 1
    assert "second time" not in heard.received.slack[0]


def test_a_status_whose_answer_was_lost_is_found_and_not_set_again(heard, quick):
    heard.received.faults.append(Fault(502, takes=True))
    assert come_to(heard, "deployments").ok
    assert come_to(heard, "deployments", again=True).ok
    assert len(heard.received.statuses) == 1


def test_a_webhook_whose_answer_was_lost_says_that_it_was_told_before(heard, quick):
    heard.received.faults.append(Fault(502, takes=True))
    assert come_to(heard, "releases").ok
    assert ["second time" in text for text in heard.received.slack] == [False, True]


@pytest.mark.parametrize(
    ("target", "values"),
    [
        ("releases", {"url": "file:{folder}/elsewhere"}),
        ("deployments", {"token": "file:{folder}/elsewhere"}),
        ("deployments", {"repository": "acme/shop/.."}),
    ],
)
def test_what_a_receiver_refuses_is_not_tried_again_and_no_secret_is_told(heard, tmp_path, target, values):
    secret = heard.web.url + "/services/not-it"
    (tmp_path / "elsewhere").write_text(secret)
    if "repository" in values:
        with pytest.raises(ValueError, match="repository"):
            come_to(heard, target, **values)
        return
    told = come_to(heard, target, **{name: value.format(folder=tmp_path) for name, value in values.items()})
    assert not told.ok
    assert told.error.startswith(("the webhook refuses it: 404", "GitHub refuses it: 401"))
    assert "not-it" not in told.error
    assert str(heard.web.url) not in told.error
    assert heard.received.requests == 1


@pytest.mark.parametrize("secret", ["http://hooks.example.net/services/T0", "no address", "https://[", "https://a b/"])
def test_an_address_that_would_go_in_clear_text_is_not_called_and_not_told(heard, tmp_path, secret):
    (tmp_path / "bad").write_text(secret)
    told = come_to(heard, "releases", url=f"file:{tmp_path / 'bad'}")
    assert not told.ok
    assert secret not in told.error


def test_a_token_that_is_no_header_is_not_told(heard, tmp_path):
    (tmp_path / "bad").write_text("to\nken")
    told = come_to(heard, "deployments", token=f"file:{tmp_path / 'bad'}")
    assert not told.ok
    assert "ken" not in told.error.replace("token", "")


def test_nobody_is_waited_for_longer_than_ten_seconds(heard, monkeypatch):
    assert SECONDS == 10
    monkeypatch.setattr(telling, "SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # Takes connections and says nothing.
        port = silent.getsockname()[1]
        told = come_to(heard, "on-call", port=port)
    assert told == Told(target="on-call", ok=False, error="no answer within 0.2 s; it may yet arrive")


def test_without_a_deployment_there_is_nothing_to_tell_github(heard):
    assert targets_of(settings(heard.table), exposed(deployment_id=None)) == ["releases", "on-call"]


def test_a_fault_of_ours_is_an_answer_too(heard, tmp_path):
    told = Telling(settings({**heard.table, "templates": tmp_path}), "releases", exposed()).come_to()
    assert not told.ok
    assert "slack.txt.j2 does not render" in told.error


def test_github_is_told_what_became_of_the_deployment():
    said = {happened: state_of(exposed(happened=happened)) for happened in Happened}
    assert said[Happened.CERTIFIED] == "success"
    assert said[Happened.ROLLED_BACK] == said[Happened.WITHDRAWN] == "failure"
    assert state_of(exposed(happened=Happened.ROLLED_BACK, had_proved_itself=True)) == "inactive"
    assert said[Happened.EXPOSED] == said[Happened.APPROVAL_ASKED] == "in_progress"


@pytest.fixture
def certificate(tmp_path):
    """(a PEM file of a certificate for loopback, and its key): its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "mail.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "mail.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return tmp_path / "mail.pem", tmp_path / "mail.key"


def test_a_password_goes_over_tls_only_and_only_to_a_server_that_is_who_it_says(heard, tmp_path, certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    (tmp_path / "password").write_text("swordfish")
    login = {"username": "steward", "password": f"file:{tmp_path / 'password'}"}
    seen = []

    def authenticate(_server, _session, _envelope, _mechanism, data):
        seen.append(data)
        return AuthResult(success=data.password == b"swordfish", handled=False)

    over_tls = MailReceiver(
        heard.received,
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
        # The client would try the other one with the same password.
        auth_exclude_mechanism=["LOGIN"],
    )
    with over_tls.running() as server:
        wanted = {"port": server.port, "tls": "starttls", "user": login}
        assert come_to(heard, "on-call", ca_file=certificate[0], **wanted).ok
        assert not come_to(heard, "on-call", **wanted).ok
        (tmp_path / "password").write_text("trout")
        refused = come_to(heard, "on-call", ca_file=certificate[0], **wanted)
    assert refused.error == "the mail server refuses it: SMTPAuthenticationError 535"
    assert [data.password for data in seen] == [b"swordfish", b"trout"]
    # The first server speaks no TLS.
    assert "no TLS" in come_to(heard, "on-call", tls="starttls").error
    assert "authorities" in come_to(heard, "on-call", tls="tls", ca_file=tmp_path / "nowhere").error
    assert len(heard.received.mails) == 1


def test_targets_are_told_side_by_side(heard):
    # Nobody is answered until all three ask.
    meeting, answer = threading.Barrier(3), heard.web.answer
    heard.web.answer = lambda *asked: (meeting.wait(2), answer(*asked))[1]
    table = {"targets": {f"channel-{n}": heard.table["targets"]["releases"] for n in range(3)}}
    assert [each.ok for each in tell_everybody(settings(table), exposed())] == [True] * 3


def test_a_person_can_try_whether_notices_arrive(heard, tmp_path, capsys):
    path = tmp_path / "settings.toml"
    path.write_text(WHOLE + tomli_w.dumps({"notices": heard.table}))
    assert main(["notices", "check", "--settings", str(path)]) == 0
    assert not heard.received.mails
    assert main(["notices", "try", "--settings", str(path)]) == 0
    assert "a trial" in heard.received.slack[0]
    assert not heard.received.statuses
    (tmp_path / "webhook").unlink()
    assert main(["notices", "try", "--settings", str(path)]) == 1
    assert "releases: cannot read secret file" in capsys.readouterr().err
    assert len(heard.received.mails) == 2
