"""Webhooks reconciled as a flow: on the ledger, with evidence, by the list of a stand-in for GitHub over HTTP."""

from __future__ import annotations

import json
import tomllib

import pytest
import tomli_w

import flows.reconcile_webhooks
from flows.reconcile_webhooks import ReconcileRequest, reconcile_webhooks
from replica import inventory
from steward.clients.postgres import connect
from steward.clients.webhook_inbox import keep
from steward.evidence.envelopes import open_envelope
from steward.evidence.statements import parse_statement
from steward.migrations.apply import migrate
from steward.settings import load
from steward.verdicts import Verdict
from steward.webhooks import github
from steward.webhooks.reconciling import WebhooksNotReconciled
from tests.flows.durable_ground import HEARTBEAT_SECONDS, LEASE_SECONDS
from tests.flows.killed_runs import Death, run_killed
from tests.flows.prefect_server import artifact, recording_in
from tests.integration.fresh_database import fresh_database
from tests.integration.github_ground import standing_in
from tests.keyring_ground import query

pytestmark = pytest.mark.without_search
#: Not sent, and noted as made long enough ago to be looked at.
LOST = {"lose": True, "age_seconds": 300}
FLOW = "flows.reconcile_webhooks.reconcile_webhooks"


@pytest.fixture(scope="module")
def away(tmp_path_factory):
    with standing_in(tmp_path_factory.mktemp("github")) as made:
        made.turn(**LOST)
        yield made


@pytest.fixture(scope="module")
def laid(replica, away, tmp_path_factory):
    own, folder = inventory.settings_file(replica), tmp_path_factory.mktemp("settings")
    with fresh_database(load(own)) as fresh:
        migrate(fresh)
        written = tomllib.loads(own.read_text())
        written["postgres"]["url"] = fresh.postgres.url
        written["operations"] = {"lease_seconds": LEASE_SECONDS, "heartbeat_seconds": HEARTBEAT_SECONDS}
        (folder / "secret").write_text("nobody signs here")
        source = {
            "kind": "github",
            "secrets": [f"file:{folder / 'secret'}"],
            "api": away.api().model_dump(mode="json", exclude_none=True),
        }
        written["webhooks"] = {"url": "http://127.0.0.1:1", "sources": {"github": source}}
        yield written


@pytest.fixture
def file(laid, away, in_replica, tmp_path, monkeypatch):
    away.turn(**LOST)
    path = tmp_path / "settings.toml"
    path.write_text(tomli_w.dumps(laid))
    monkeypatch.setenv("STEWARD_SETTINGS", str(path))
    with recording_in(in_replica):
        yield path


def reconciled(label):
    return reconcile_webhooks(ReconcileRequest(label=label))


def refused(label):
    with pytest.raises(WebhooksNotReconciled) as found:
        reconciled(label)
    return found.value.report


def new(report):
    return [each.guid for each in report.outcomes[0].recovered if each.is_new]


def inbox():
    return query(load(), "SELECT delivery, event, key, how, repeats, state FROM steward.webhook_deliveries ORDER BY id")


def statements():
    rows = query(load(), "SELECT envelope FROM steward.evidence WHERE operation = 'reconcile-webhooks' ORDER BY id")
    return [parse_statement(open_envelope(envelope.encode()).payload) for (envelope,) in rows]


def lost(away, count=1):
    """Deployments whose deliveries nobody received; the newest first."""
    before = len(away.deliveries())
    made = [away.deploy() for _ in range(count)]
    away.noted(before + count)
    return [each["id"] for each in reversed(made)]


def test_what_nobody_received_is_kept_as_if_it_had_arrived_and_stated(file, away):
    [number] = lost(away)
    report = reconciled("lost")
    assert report.verdict is Verdict.VERIFIED
    guid = away.deliveries()[0]["guid"]
    [kept] = [each for each in inbox() if each[0] == guid]
    assert kept[1:] == ("deployment", f"deployment/{number}/created", "reconciled", 0, "received")
    told = statements()[-1]
    assert told.figures["recovered"] == {"github": [guid]}
    assert told.figures["settled"] == {"github": report.outcomes[0].settled_until.isoformat()}
    assert "verdict: VERIFIED" in artifact("webhooks")


def test_a_second_run_finds_nothing_and_goes_on_from_the_first(file, away):
    lost(away)
    first = reconciled("first")
    rows = inbox()
    second = reconciled("second")
    assert (second.outcomes[0].recovered, inbox()) == ((), rows)
    assert second.outcomes[0].settled == first.outcomes[0].settled_until


def test_a_delivery_that_arrived_is_known_by_its_guid_whatever_github_noted_of_it(file, away):
    lost(away)
    newest = away.deliveries()[0]
    assert newest["status_code"] == 502
    body = away.whole(newest["id"])["request"]["payload"]
    headers = {"x-github-delivery": newest["guid"], "x-github-event": "deployment"}
    arrive(headers, body)
    assert reconciled("arrived").outcomes[0].recovered == ()


def test_an_event_that_arrived_under_another_guid_is_a_repeat(file, away):
    lost(away)
    newest = away.deliveries()[0]
    body = away.whole(newest["id"])["request"]["payload"]
    arrive({"x-github-delivery": "of-another-webhook", "x-github-event": "deployment"}, body)
    [recovered] = reconciled("other-guid").outcomes[0].recovered
    assert not recovered.is_new
    assert [each[4] for each in inbox() if each[0] == "of-another-webhook"] == [1]


def arrive(headers, body):
    delivery = github.read("github", headers, json.dumps(body, indent=1).encode(), now=None)
    with connect(load()) as db:
        keep(db, delivery, "received")


def test_more_than_a_page_of_deliveries_are_all_brought_in(file, away):
    lost(away, 105)
    assert len(new(reconciled("pages"))) == 105


def test_one_that_cannot_be_read_is_refuted_and_the_others_are_brought_in(file, away, monkeypatch):
    numbers = lost(away, 3)
    read = github.read

    def fails_for_one(source, headers, body, *, now):
        text = body.decode().replace(f'"id":{numbers[1]},', '"id":"none",')
        return read(source, headers, text.encode(), now=now)

    monkeypatch.setattr(github, "read", fails_for_one)
    report = refused("unreadable")
    assert report.verdict is Verdict.REFUTED
    assert len(new(report)) == 2
    guid = report.outcomes[0].unreadable[0].guid
    assert report.findings[0].startswith(f"github: delivery {guid} (deployment, ")
    assert "deployment.id" in report.findings[0]
    # It is told until it can be read.
    monkeypatch.setattr(github, "read", read)
    assert new(reconciled("readable")) == [guid]


def test_github_away_is_unknown_and_settles_nothing(file, away, monkeypatch):
    step = flows.reconcile_webhooks.find_missing.with_options(retries=0)
    monkeypatch.setattr(flows.reconcile_webhooks, "find_missing", step)
    settled = reconciled("before").outcomes[0].settled_until
    away.turn(**LOST, api_status=500)
    report = refused("away")
    assert (report.verdict, report.outcomes[0].settled_until) == (Verdict.UNKNOWN, settled)
    assert "with 500" in report.findings[0]


@pytest.mark.parametrize(
    ("api", "told"), [({"hook": 1}, "with 404"), ({"token": "file:{file}"}, "with 401")], ids=["no hook", "bad token"]
)
def test_a_hook_that_is_not_there_or_a_token_that_may_not_is_unknown_with_a_hint(file, laid, tmp_path, api, told):
    (tmp_path / "other").write_text("not-the-token")
    changed = {name: each.format(file=tmp_path / "other") if name == "token" else each for name, each in api.items()}
    source = laid["webhooks"]["sources"]["github"]
    sources = {"github": source | {"api": source["api"] | changed}}
    file.write_text(tomli_w.dumps(laid | {"webhooks": laid["webhooks"] | {"sources": sources}}))
    report = refused(told.replace(" ", "-"))
    assert report.verdict is Verdict.UNKNOWN
    assert told in report.findings[0]
    assert "HINT" in report.findings[0]


@pytest.mark.parametrize("at", ["before", "after"])
def test_killed_while_it_brings_them_in_it_keeps_each_once(file, replica, away, at):
    before = len(inbox())
    lost(away, 2)
    death = Death("call", "tasks.webhook_reconciliation:keep#2") if at == "before" else Death(at, "recover_missing")
    run_killed(replica, file, FLOW, {"label": f"killed-{at}"}, death)
    report = reconciled(f"killed-{at}")
    assert report.verdict is Verdict.VERIFIED
    assert len(inbox()) == before + 2
    assert [each.period.partition("/")[2] for each in statements()].count(f"killed-{at}") == 1
