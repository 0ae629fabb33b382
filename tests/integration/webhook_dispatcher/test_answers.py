"""A run that waits at GitHub is answered by the evidence of its release, at its own address and nowhere else."""

import time

import pytest

from services.webhooks import deciding
from steward.clients import webhook_starts as inbox
from steward.clients.postgres import connect
from tests.integration.dispatch_ground import Work
from tests.integration.webhook_dispatcher.ground import arrived, asks, decides, only, proved

pytestmark = pytest.mark.without_search

RULE = "deployment_protection_rule"


@pytest.fixture
def asked(github):
    """What GitHub asks of a run that waits there."""
    return github.admin("POST", "/reviews", {"ref": "main"})


def answers(github, payload):
    """What the run of *payload* was answered."""
    run = int(payload["deployment_callback_url"].split("/")[-2])
    return [each for each in github.admin("GET", "/reviews") if each["run"] == run]


def test_a_protection_rule_waits_for_evidence_and_is_rejected_when_none_came(settings, github, asked):
    work = Work(settings, decides())
    work.dispatcher.counts.prefect(answers=False, asked_at=time.monotonic())
    delivery = arrived(settings, RULE, asked)
    work.do()
    start = only(settings, delivery)
    assert start["state"] == "waiting"
    assert start["why"].startswith(f"waits for proof of release {asked['deployment']['sha'][:12]}: build UNKNOWN")
    assert not answers(github, asked)
    with connect(settings) as db:
        assert inbox.standing(db).waiting_seconds == 0, "it waits as its rule says, for nothing that is late"
        db.execute(
            "UPDATE steward.webhook_starts SET created_at = now() - interval '61 minutes' WHERE id = %s", [start["id"]]
        )
    work.due_now()
    work.do()
    assert only(settings, delivery)["state"] == "decided"
    assert work.dispatcher.counts.prefect_answers() is False, "nobody asked it"
    (answer,) = answers(github, asked)
    assert (answer["state"], answer["environment_name"]) == ("rejected", asked["environment"])


def test_a_protection_rule_is_approved_by_verified_evidence(settings, github, asked, monkeypatch):
    monkeypatch.setattr(deciding, "gates_of", proved)
    delivery = arrived(settings, RULE, asked)
    Work(settings, decides()).do()
    assert only(settings, delivery)["state"] == "decided"
    assert [each["state"] for each in answers(github, asked)] == ["approved"]


def test_a_callback_that_is_not_githubs_is_sent_nothing(settings, monkeypatch):
    monkeypatch.setattr(deciding, "gates_of", proved)
    delivery = arrived(settings, RULE, asks())
    Work(settings, decides()).do()
    start = only(settings, delivery)
    assert (start["state"], start["why"].rpartition(": ")[2]) == ("refused", "nothing is sent there")


def test_a_source_without_an_api_cannot_be_answered(silent):
    delivery = arrived(silent, RULE, asks())
    Work(silent, decides()).do()
    assert "[webhooks.sources.github.api]" in only(silent, delivery)["why"]
