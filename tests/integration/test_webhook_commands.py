"""`python -m steward webhooks`, as a person at 3 a.m. uses it, on a real inbox and a real receiver."""

from __future__ import annotations

import io
import json
import uuid
from datetime import UTC, datetime

import pytest

from replica import inventory
from steward import webhook_commands
from steward.__main__ import main
from steward.clients import webhook_starts as starts
from steward.clients.postgres import connect
from steward.clients.webhook_inbox import keep
from steward.migrations.apply import migrate
from steward.settings import load
from steward.webhooks import github
from steward.webhooks.rules import Start
from tests.integration.closed_doors import closed_port
from tests.integration.fresh_database import fresh_database
from tests.integration.webhooks_ground import deployment, from_github, raw, receiver, rows, with_sources
from tests.watching.ground import written

pytestmark = pytest.mark.without_search

DATA = '{"release": "v2"}'


@pytest.fixture(scope="module")
def settings(replica, tmp_path_factory):
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield with_sources(fresh, tmp_path_factory.mktemp("secrets"))


@pytest.fixture(scope="module")
def receiving(settings, tmp_path_factory):
    with receiver(settings, tmp_path_factory.mktemp("receiver")) as made:
        yield made


@pytest.fixture
def said(settings, tmp_path, monkeypatch, capsys):
    """What a command says; of one that is refused, what it says of that."""
    monkeypatch.setenv("STEWARD_SETTINGS", str(written(settings, tmp_path)))

    def run(*words):
        status = main(["webhooks", *map(str, words)])
        out, err = capsys.readouterr()
        assert (status, bool(out)) in {(0, True), (1, False)}
        return out or err

    return run


@pytest.fixture
def sent(said, receiving):
    def run(kind, data=DATA, *words, source="ci"):
        return said("send", source, kind, "--data", data, "--url", url(receiving.port), *words)

    return run


def url(port):
    return f"http://127.0.0.1:{port}/webhooks/ci"


def kept(settings):
    """The number of a new delivery of GitHub's that no dispatcher is at."""
    body = raw(deployment())
    headers = {name.lower(): value for name, value in from_github(body).items()}
    with connect(settings) as db:
        return keep(db, github.read("github", headers, body, now=datetime.now(UTC)), "received").id


def matched(settings, delivery, *rules):
    """Its starts' numbers, once *rules* were found to fit; none: it is ignored."""
    with connect(settings) as db:
        starts.matched(db, delivery, [Start(rule, "flow/made", {"release": "v2"}) for rule in rules])
        found = db.execute("SELECT id FROM steward.webhook_starts WHERE delivery_id = %s ORDER BY id", [delivery])
        return [row[0] for row in found]


def refused(settings, why="flow/made is gone"):
    """One whose second rule was refused; its first has started."""
    delivery = kept(settings)
    good, bad = matched(settings, delivery, "good", "bad")
    with connect(settings) as db:
        starts.started(db, good, str(uuid.uuid4()))
        starts.refused(db, bad, why)
    return delivery


def test_a_list_tells_of_each_delivery_how_it_fares(settings, said):
    new, ignored, waiting = kept(settings), kept(settings), kept(settings)
    matched(settings, ignored)
    matched(settings, waiting, "deploy")
    bad = refused(settings)
    lines = {int(line.split()[0]): line for line in said("list").splitlines()}
    assert lines[new].endswith("/created: received")
    assert lines[ignored].endswith(": ignored")
    assert lines[waiting].endswith(": deploy waiting")
    assert "started flow/made, run " in lines[bad]
    assert lines[bad].endswith("bad refused, flow/made is gone")
    assert list(lines) == sorted(lines, reverse=True)


def test_a_list_is_of_one_state_or_source_and_no_longer_than_asked(settings, said):
    first, last = refused(settings), refused(settings)
    assert [int(line.split()[0]) for line in said("list", "--state", "refused", "--limit", 2).splitlines()] == [
        last,
        first,
    ]
    assert said("list", "--source", "ci", "--state", "refused") == "no such delivery\n"
    assert "one of received, waiting" in said("list", "--state", "lost")
    assert "known: github, ci" in said("list", "--source", "gitlab")
    assert "expected 1 or more" in said("list", "--limit", 0)


def test_one_is_shown_with_what_each_rule_made_of_it_and_what_may_be_done(settings, said):
    delivery = refused(settings, "\x1b[2Jno such flow")
    told = said("show", delivery)
    assert "rule good, flow/made: started" in told
    assert "rule bad, flow/made: refused" in told
    assert '{"release": "v2"}' in told
    assert f"webhooks retry {delivery}" in told
    assert "\x1b" not in told, "what a sender wrote must not command a terminal"
    assert '"deployment": {' not in told
    assert '"deployment": {' in said("show", delivery, "--body")
    assert "the inbox has no delivery 999999" in said("show", 999999)


def test_whoever_is_still_to_be_told_of_it_is_shown(settings, said):
    told, untold = kept(settings), kept(settings)
    for delivery, tell in ((told, False), (untold, True)):
        (begun,) = matched(settings, delivery, "good")
        with connect(settings) as db:
            starts.started(db, begun, str(uuid.uuid4()), tell=tell)
    assert "GitHub has not heard of it yet: told again 2" in said("show", untold)
    assert "GitHub" not in said("show", told)


def test_what_was_refused_is_asked_of_the_rules_anew_and_what_was_started_stays(settings, said):
    delivery = refused(settings)
    assert "bad was refused" in said("retry", delivery)
    with connect(settings) as db:
        assert delivery in {each.id for each in starts.unread(db, limit=100)}
    # As a dispatcher does it, by rules that were mended.
    matched(settings, delivery, "good", "bad")
    told = said("show", delivery)
    assert "rule good, flow/made: started" in told
    assert "rule bad, flow/made: waiting" in told


def test_one_that_no_rule_named_can_be_tried_once_a_rule_does(settings, said):
    delivery = kept(settings)
    matched(settings, delivery)
    said("retry", delivery)
    assert f"{delivery} " in said("list", "--state", "received")


def test_what_waits_or_has_begun_or_is_forgotten_is_not_tried_again(settings, said):
    started, decided, waiting, new, forgotten = (kept(settings) for _ in range(5))
    (one,), (two,) = matched(settings, started, "good"), matched(settings, decided, "good")
    matched(settings, waiting, "good")
    matched(settings, forgotten)
    with connect(settings) as db:
        starts.started(db, one, str(uuid.uuid4()))
        starts.decided(db, two, "approved")
        db.execute("UPDATE steward.webhook_deliveries SET body = NULL WHERE id = %s", [forgotten])
    assert "is started; expected refused or ignored" in said("retry", started)
    assert "run its job again there" in said("retry", decided)
    assert "it is tried again by itself" in said("retry", waiting)
    assert "a dispatcher asks the rules soon" in said("retry", new)
    assert "is forgotten" in said("retry", forgotten)
    assert "the inbox has no delivery 999999" in said("retry", 999999)
    assert "what it told is forgotten" in said("show", forgotten, "--body")


def test_what_is_sent_is_signed_and_counts_once_under_one_id(settings, sent):
    told = sent("release.candidate", DATA, "--id", "build-7")
    row = rows(settings)[-1]
    assert told == f"build-7: received as delivery {row['id']}\n"
    assert (row["source"], row["event"], row["delivery"]) == ("ci", "release.candidate", "build-7")
    assert json.loads(bytes(row["body"]))["data"] == {"release": "v2"}
    assert sent("release.candidate", DATA, "--id", "build-7") == f"build-7: repeated as delivery {row['id']}\n"
    assert sent("release.candidate").startswith("by-hand-")
    assert rows(settings)[-1]["id"] != row["id"]


def test_data_comes_from_a_file_or_from_standard_input_as_well(settings, sent, tmp_path, monkeypatch):
    (tmp_path / "data").write_text('{"from": "file"}')
    monkeypatch.setattr("sys.stdin", io.StringIO('{"from": "pipe"}'))
    for told in (f"@{tmp_path / 'data'}", "-"):
        assert ": received as delivery " in sent("release.candidate", told)
    assert [json.loads(bytes(row["body"]))["data"]["from"] for row in rows(settings)[-2:]] == ["file", "pipe"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nobody", "a.b", "--data", "{}"], "have no source 'nobody'\nHINT: a source of kind signed: ci"),
        (["github", "a.b", "--data", "{}"], "GitHub's to sign"),
        (["ci", "A b", "--data", "{}"], "type: "),
        (["ci", "a.b", "--data", "[]"], "--data: it is a JSON array; expected an object"),
        (["ci", "a.b", "--data", "{"], "--data: it is no JSON"),
        (["ci", "a.b", "--data", '{"a": 1e999}'], "that JSON cannot hold"),
        (["ci", "a.b", "--data", "@/nowhere"], "cannot read /nowhere"),
        (["ci", "a.b", "--data", "{}", "--id", "a b"], "webhook-id has characters"),
        (["ci", "a.b", "--data", "{}", "--url", "http://example.net/webhooks/ci"], "http:// on loopback alone"),
    ],
)
def test_what_no_receiver_would_take_is_refused_before_it_is_sent(said, words, told):
    assert told in said("send", *words)


def test_what_a_receiver_refuses_is_told_by_its_status(sent):
    told = sent("nothing.known")
    assert "refuses it: 422" in told
    assert "docs/webhooks.md says what each status means" in told


def test_a_receiver_that_is_away_is_waited_for_and_the_id_is_told_to_try_again_by(said, monkeypatch):
    monkeypatch.setattr(webhook_commands, "_PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(webhook_commands, "_PAUSE_SECONDS", 0.06)
    told = said("send", "ci", "release.candidate", "--data", DATA, "--id", "build-8", "--url", url(closed_port()))
    assert "does not answer" in told
    assert "--id build-8: it counts once" in told
