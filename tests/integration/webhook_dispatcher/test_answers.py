"""A run that waits at GitHub is answered by the evidence of its release, at its own address and nowhere else."""

import time

import pytest

from services.webhooks import deciding, starting
from services.webhooks.deciding import Answer
from steward.clients import webhook_starts as inbox
from steward.clients.postgres import connect
from tests.flows.killed_runs import Death
from tests.integration.dispatch_ground import Work, dispatched_until_killed
from tests.integration.webhook_dispatcher.ground import arrived, asks, decides, only, proved

pytestmark = pytest.mark.without_search

RULE = "deployment_protection_rule"


@pytest.fixture
def asked(github):
    """What GitHub asks of a run that waits there."""
    return github.admin("POST", "/reviews", {"ref": "main"})


def answers(github, payload):
    """What the run of *payload* was answered."""
    return [each for each in github.admin("GET", "/reviews") if each["run"] == run_of(payload)]


def run_of(payload):
    return int(payload["deployment_callback_url"].split("/")[-2])


def grow_old(settings, start):
    """By an hour; and it is due."""
    with connect(settings) as db:
        db.execute(
            "UPDATE steward.webhook_starts SET created_at = now() - interval '61 minutes', next_try_at = now() WHERE id = %s",
            [start["id"]],
        )


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
    grow_old(settings, start)
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


def test_an_answer_that_github_had_before_its_dispatcher_was_killed_is_decided(
    replica, settings, github, asked, monkeypatch
):
    work = Work(settings, decides())
    delivery = arrived(settings, RULE, asked)
    work.do()
    grow_old(settings, only(settings, delivery))
    killed = Death("call", "steward.clients.webhook_starts:decided")
    dispatched_until_killed(replica, settings, work.dispatcher.rules, killed)
    assert only(settings, delivery)["state"] == "waiting"
    # Whatever the evidence comes to by now: what GitHub has is what was decided.
    monkeypatch.setattr(deciding, "gates_of", proved)
    work.do()
    start = only(settings, delivery)
    assert (start["state"], start["why"]) == ("decided", "rejected: GitHub had the answer already")
    assert [each["state"] for each in answers(github, asked)] == ["rejected"]


def test_a_run_that_is_not_ready_for_an_answer_is_answered_soon(settings, github, asked, monkeypatch):
    monkeypatch.setattr(deciding, "gates_of", proved)
    work = Work(settings, decides())
    github.admin("DELETE", f"/runs/{run_of(asked)}")
    delivery = arrived(settings, RULE, asked)
    work.do()
    start = only(settings, delivery)
    assert (start["state"], start["why"].rpartition(" ")[2]) == ("waiting", "422")
    grow_old(settings, start)
    work.do()
    start = only(settings, delivery)
    assert (start["state"], start["why"]) == ("decided", "not answered: GitHub waits for no answer any more")


def test_an_answer_that_github_refuses_while_the_run_waits_is_refused(settings, github, asked, monkeypatch):
    monkeypatch.setattr(starting, "answer_of", lambda *_: Answer("perhaps", "neither"))
    work = Work(settings, decides())
    delivery = arrived(settings, RULE, asked)
    work.do()
    grow_old(settings, only(settings, delivery))
    work.do()
    start = only(settings, delivery)
    assert (start["state"], start["why"].rpartition(" ")[2]) == ("refused", "422")


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
