"""A receiver over real HTTP, before a real inbox: what is taken once, what is refused, and that a refusal leaves nothing behind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from replica import inventory
from steward.migrations.apply import migrate
from steward.settings import load
from tests.contract.github import payloads
from tests.integration.fresh_database import fresh_database
from tests.integration.webhooks_ground import (
    CI,
    GITHUB,
    PATIENCE_SECONDS,
    SECRETS,
    count,
    deployment,
    event,
    from_ci,
    from_github,
    raw,
    receiver,
    rows,
    with_sources,
)

pytestmark = pytest.mark.without_search

MOST = 65_536
MARK = "a-word-of-the-body"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("webhooks")


@pytest.fixture(scope="module")
def settings(replica, folder):
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield with_sources(fresh, folder, most_bytes=MOST)


@pytest.fixture(scope="module")
def server(settings, folder):
    with receiver(settings, folder) as running:
        yield running


def marked(**changes):
    return raw({**deployment(**changes), "mark": MARK})


def at(moment):
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# Taken.


def test_what_github_sends_is_a_row_before_it_is_answered(server, settings):
    payload = deployment()
    body, before = raw(payload), count(settings)
    headers = from_github(body)
    answer = server.send(GITHUB, body, headers)
    assert answer.status == 202
    row = rows(settings)[-1]
    assert answer.body == {"delivery": row["id"], "state": "received"}
    assert count(settings) == before + 1
    told = payload["deployment"]
    assert (row["source"], row["delivery"]) == ("github", headers["X-GitHub-Delivery"])
    assert (row["event"], row["action"], row["key"]) == ("deployment", "created", f"deployment/{told['id']}/created")
    assert row["occurred_at"] == datetime.fromisoformat(told["created_at"])
    assert (bytes(row["body"]), row["how"], row["state"], row["repeats"]) == (body, "received", "received", 0)


@pytest.mark.parametrize("name", payloads.EVENTS)
def test_each_event_is_taken(server, name):
    payload = payloads.examples(name)[-1]
    part = payload.get(name) or payload.get("deployment") or {}
    part |= {moment: at(datetime.now(UTC)) for moment in ("created_at", "updated_at")}
    body = raw(payload)
    assert server.send(GITHUB, body, from_github(body, name)).status == 202


def test_a_signed_delivery_is_taken(server, settings):
    body = raw(event())
    headers = from_ci(body)
    assert server.send(CI, body, headers).status == 202
    row = rows(settings)[-1]
    assert (row["event"], row["action"]) == ("release.candidate", None)
    assert row["key"] == f"release.candidate/{headers['webhook-id']}"


def test_a_delivery_comes_once_however_it_is_repeated(server, settings):
    payload = deployment()
    body, before = raw(payload), count(settings)
    headers = from_github(body)
    first = server.send(GITHUB, body, headers)
    other = raw({**payload, "sent": "again"})
    repeats = [
        server.send(GITHUB, body, headers),
        # Under another id, as whoever overheard it would.
        server.send(GITHUB, body, from_github(body)),
        # The same event told by another webhook: other bytes under another id.
        server.send(GITHUB, other, from_github(other)),
    ]
    assert [(each.status, each.body) for each in repeats] == [
        (200, {"delivery": first.body["delivery"], "state": "repeated"})
    ] * 3
    assert count(settings) == before + 1
    row = rows(settings)[-1]
    assert (row["repeats"], bytes(row["body"])) == (3, body)
    assert row["last_repeat_at"] > row["received_at"]


def test_a_signed_delivery_comes_once_however_it_is_repeated(server, settings):
    body, before = raw(event()), count(settings)
    headers = from_ci(body)
    assert server.send(CI, body, headers).status == 202
    # A later try of the same sender's is signed anew, under the same id.
    later = from_ci(body, identity=headers["webhook-id"], at=time.time() - 10)
    assert [server.send(CI, body, each).status for each in (headers, later, from_ci(body))] == [200, 200, 200]
    assert count(settings) == before + 1


def test_of_many_at_once_one_is_new(server, settings, folder):
    body, before = raw(deployment()), count(settings)
    with receiver(settings, folder) as second, ThreadPoolExecutor(16) as pool:
        servers = [server, second] * 16
        told = list(pool.map(lambda each: each.send(GITHUB, body, from_github(body)), servers))
    assert sorted(each.status for each in told) == [200] * 31 + [202]
    assert len({each.body["delivery"] for each in told}) == 1
    assert count(settings) == before + 1
    assert rows(settings)[-1]["repeats"] == 31


def test_the_documented_commands_send_a_delivery_that_is_taken(server, settings):
    block = Path("docs/webhooks.md").read_text().partition("```sh\n")[2].partition("```")[0]
    environment = {**os.environ, "URL": f"http://127.0.0.1:{server.port}", "SECRET": SECRETS["ci"]}
    done = subprocess.run(["bash", "-euc", block], env=environment, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout) == {"delivery": rows(settings)[-1]["id"], "state": "received"}, done.stderr


# Refused.


def _sent(body, headers, path=GITHUB):
    return path, body, headers


def _signed(payload, **options):
    body = raw(payload)
    return _sent(body, from_ci(body, **options), CI)


def _github(body, name="deployment", **headers):
    made = from_github(body, name, **headers)
    return _sent(body, {name: value for name, value in made.items() if value})


NOW = datetime.now(UTC)
# By a day: the tests of a whole run come a quarter of an hour after they were collected.
LONG_AGO, SOON = NOW - timedelta(hours=73), NOW + timedelta(days=1)

BAD = {
    "forged": (lambda: _sent(marked(), from_github(marked())), 401, "not of this body", "compare the webhook's secret"),
    "signed with another secret": (
        lambda: _github(marked(), secret="another secret than ours"),
        401,
        "not of this body",
        "compare the webhook's secret",
    ),
    "signature missing": (
        lambda: _github(marked(), X_Hub_Signature_256=""),
        401,
        "X-Hub-Signature-256 is missing",
        "give the webhook a secret",
    ),
    "signed form forged": (
        lambda: _sent(raw({**event(), "mark": MARK}), from_ci(raw(event())), CI),
        401,
        "webhook-signature is not of this id",
        "sign `ID.TIMESTAMP.BODY`",
    ),
    "signed form overheard": (
        lambda: _signed({**event(), "mark": MARK}, at=time.time() - 400),
        422,
        "s ago; expected at most 300",
        "sign each try anew",
    ),
    "of GitHub's, for another source": (
        lambda: _sent(body := marked(), from_github(body), CI),
        401,
        "webhook-id, webhook-timestamp, webhook-signature is missing",
        "Standard Webhooks",
    ),
    "happened long ago": (
        lambda: _github(marked(created_at=at(LONG_AGO))),
        422,
        "happened 73.",
        "let it happen anew; window_hours of [webhooks.sources.github]",
    ),
    "happens in the future": (
        lambda: _github(marked(created_at=at(SOON))),
        422,
        "s from now",
        "compare the sender's clock",
    ),
    "signed form of long ago": (lambda: _signed(event(at=LONG_AGO)), 422, "happened 73.", "let it happen anew"),
    "too large by its length": (
        lambda: _github(raw({**deployment(), "mark": MARK * 10_000})),
        413,
        "more than 65,536 bytes",
        "most_bytes",
    ),
    "too large without a length": (
        lambda: _sent(iter([MARK.encode() * 1000] * 5), from_github(b"")),
        413,
        "more than 65,536 bytes",
        "most_bytes",
    ),
    "unknown event": (
        lambda: _github(marked(), "push"),
        422,
        "nothing is made for the event push; known: deployment, ",
        "choose these events alone",
    ),
    "no event": (lambda: _github(marked(), ""), 400, "X-GitHub-Event is missing", "letters, digits"),
    "no id": (lambda: _github(marked(), X_GitHub_Delivery=""), 400, "X-GitHub-Delivery is missing", "letters, digits"),
    "unknown source": (
        lambda: _sent(body := marked(), from_github(body), "/webhooks/nobody"),
        404,
        "there is no such source",
        "see the address",
    ),
    "malformed JSON": (lambda: _github(f'{{"{MARK}": '.encode()), 400, "the body is no JSON", "send one JSON object"),
    "JSON that is no object": (lambda: _github(raw([MARK])), 400, "a JSON array; expected an object", "send {"),
    "empty": (lambda: _github(b""), 400, "the body is no JSON", "send one JSON object"),
    "another content type": (
        lambda: _github(marked(), Content_Type="text/plain"),
        415,
        "the content type is text/plain; expected application/json",
        "say so in Content-Type",
    ),
    "no content type": (lambda: _github(marked(), Content_Type=""), 415, "none that can be shown", "say so in"),
    "a form": (
        lambda: _github(b"payload=" + MARK.encode(), Content_Type="application/x-www-form-urlencoded"),
        415,
        "application/x-www-form-urlencoded; expected application/json",
        "choose the content type application/json in the webhook's settings at GitHub",
    ),
    "compressed": (lambda: _github(marked(), Content_Encoding="gzip"), 415, "encoded as gzip", "do not compress"),
    "fields missing": (
        lambda: _github(raw({"action": "created", "mark": MARK})),
        400,
        "the body is no deployment: deployment: Field required",
        "docs/webhooks.md",
    ),
    "a type that no rule names": (
        lambda: _signed({**event("coffee.ready"), "mark": MARK}),
        422,
        "no rule names the type coffee.ready of ci; known: ",
        "mend the type, or add a rule",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_its_reason_one_line_and_nothing_left_behind(server, settings, case):
    made, status, detail, hint = BAD[case]
    path, body, headers = made()
    before = count(settings)
    with server.logged() as lines:
        answer = server.send(path, body, headers)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (answer.body["status"], answer.body["type"]) == (status, "about:blank")
    assert detail in answer.body["detail"]
    assert hint in answer.body["hint"]
    assert count(settings) == before
    assert len(lines) == 1, lines
    assert f"status={status}" in lines[0]
    assert detail in lines[0]
    assert f"source={'-' if status == 404 else path.rpartition('/')[2]}" in lines[0]
    signatures = [value for name, value in headers.items() if "signature" in name.lower()]
    for secret in (MARK, *SECRETS.values(), *signatures):
        assert secret not in lines[0]
        assert secret not in json.dumps(answer.body)


# One delivery is not taken for another's fault.


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", GITHUB, 405),
        ("PUT", GITHUB, 405),
        ("POST", "/", 404),
        ("POST", "/webhooks/", 404),
        ("POST", "/webhooks/github/more", 404),
        ("POST", "/webhooks/github%00", 404),
        ("POST", "/webhooks/%ff%fe", 404),
        ("POST", "/webhooks/..%2fgithub", 404),
        ("POST", "/webhooks/" + "x" * 5000, 404),
    ],
)
def test_another_path_or_method_is_a_problem(server, settings, method, path, status):
    body, before = marked(), count(settings)
    answer = server.send(path, body, from_github(body), method=method)
    assert (answer.status, answer.body["status"]) == (status, status)
    assert count(settings) == before


HOSTILE = [
    b'{"a":' * 10_000,
    b"[" * 60_000,
    b'{"type": "release.candidate", "timestamp": NaN, "data": {}}',
    b'{"type": "release.candidate", "timestamp": "2026-11-27T10:00:00Z", "data": {"a": "\\ud800"}}',
    b'{"type": "release.candidate\\u0000", "timestamp": "2026-11-27T10:00:00Z", "data": {}}',
    b'{"type": "release.candidate", "timestamp": "9999-12-31T23:59:59-23:59", "data": {}}',
    b'{"type": "release.candidate", "timestamp": "0001-01-01T00:00:00+23:59", "data": {}}',
    b'{"type": ["release.candidate"], "timestamp": {}, "data": 1e999}',
    b"\xff\xfe\x00\x00",
    b'{"a": ' + b"9" * 20_000 + b"}",
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_body_that_is_genuine_is_the_sender_s_fault(server, settings, body):
    before = count(settings)
    assert server.send(CI, body, from_ci(body)).status in {400, 401, 422}
    assert server.send(GITHUB, body, from_github(body)).status == 400
    assert count(settings) == before


def test_nulls_and_doubled_keys_that_nothing_is_made_of_are_stored_as_they_came(server, settings):
    told = event()
    body = (
        raw({**told, "data": {"a": "\0"}})[:-1]
        + b', "type": "git.push", "mark": "'
        + told["data"]["nonce"].encode()
        + b'"}'
    )
    assert server.send(CI, body, from_ci(body)).status == 202
    row = rows(settings)[-1]
    assert (bytes(row["body"]), row["event"]) == (body, "git.push")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"X-GitHub-Delivery: a\0b\r\n", 400),
        (b"X-GitHub-Delivery: \xff\xfe\r\n", 401),
        (b"X-Hub-Signature-256: sha256=\xe9\r\n", 401),
        (b"Content-Length: -1\r\n", 400),
        (b"Content-Length: 99999999999999999999999\r\n", 400),
        (b"Content-Length: 9999999999999\r\n", 413),
        (b"X-Much: " + b"a" * 10_000_000 + b"\r\n", 431),
        (b"".join(b"X-%d: a\r\n" % number for number in range(20_000)), 431),
    ],
    ids=range(8),
)
def test_hostile_headers_are_the_sender_s_fault(server, settings, headers, status):
    before = count(settings)
    request = b"POST /webhooks/github HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(request + headers + b"\r\n")
        answered = connection.recv(12)
    assert answered == f"HTTP/1.1 {status}".encode()
    assert count(settings) == before
    assert server.send("/healthz", b"", {}, method="GET").status == 200


# What is told of it.


def test_health_says_how_secrets_and_the_database_are(server):
    assert server.send("/healthz", b"", {}, method="GET").body == "secrets: read\ndatabase: answers\n"


def test_metrics_count_outcomes_by_source_and_strangers_make_no_series(server):
    body = marked()
    for path in (GITHUB, GITHUB, "/webhooks/a-stranger"):
        server.send(path, body, from_github(body))
    server.send(GITHUB, body + b" ", from_github(body))
    told = server.send("/metrics", b"", {}, method="GET").body
    for source, outcome in (
        ("github", "received"),
        ("github", "repeated"),
        ("github", "Forged"),
        ("-", "UnknownSource"),
    ):
        assert f'steward_webhook_answers_total{{outcome="{outcome}",source="{source}"}}' in told
    assert "a-stranger" not in told
    assert "steward_webhook_database_up 1.0" in told
    assert "steward_webhook_unread_sources 0.0" in told
    assert "steward_webhook_answer_seconds_bucket" in told
