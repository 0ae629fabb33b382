"""What GitHub is told of its deployments: of a run or a refusal, in a line, and of nothing else."""

import json

import pytest

from services.webhooks.starting import Decided, Postponed, Refused, Started
from services.webhooks.telling import Telling, word_of
from steward.clients.webhook_starts import Waiting
from steward.settings import Webhooks

SECRETS = ["file:/nowhere"]
API = {"repository": "octo/shop", "token": "file:/nowhere"}


class Settings:
    """Of webhooks alone."""

    vault = None

    def __init__(self, **github) -> None:
        sources = {
            "github": {"kind": "github", "secrets": SECRETS, **github},
            "ci": {"kind": "signed", "secrets": SECRETS},
        }
        self.webhooks = Webhooks.model_validate({"url": "http://127.0.0.1:1", "sources": sources})


def start(**changes):
    told = {
        "id": 1,
        "delivery_id": 1,
        "rule": "deploy",
        "deployment": "flow/deployment",
        "parameters": {},
        "tries": 0,
        "age_seconds": 0.0,
        "source": "github",
        "event": "deployment",
        "key": "deployment/7/created",
        "body": json.dumps({"deployment": {"id": 7}}).encode(),
    }
    return Waiting(**{**told, **changes})


def test_a_run_is_queued_and_a_refusal_an_error():
    settings = Settings(api=API)
    queued = word_of(settings, start(), Started("a-run"))
    assert (queued.deployment, queued.state, queued.description) == (7, "queued", "run a-run of flow/deployment")
    error = word_of(settings, start(), Refused("no\nflag"))
    assert (error.state, error.description) == ("error", "refused: no flag")


def test_a_long_reason_is_cut_to_what_github_takes():
    told = word_of(Settings(api=API), start(), Refused("x" * 500)).description
    assert (len(told), told[-1]) == (140, "…")


@pytest.mark.parametrize(
    ("changes", "outcome", "github"),
    [
        ({}, Postponed("later", 1), {"api": API}),
        ({}, Decided("approved"), {"api": API}),
        ({}, Started("a-run"), {}),
        ({"source": "ci"}, Started("a-run"), {"api": API}),
        ({"event": "workflow_run"}, Started("a-run"), {"api": API}),
        ({"body": None}, Started("a-run"), {"api": API}),
        ({"body": b'{"deployment": {}}'}, Started("a-run"), {"api": API}),
    ],
)
def test_nobody_is_told_where_there_is_nothing_to_say_or_nobody(changes, outcome, github):
    assert word_of(Settings(**github), start(**changes), outcome) is None


def test_too_many_words_are_dropped_and_hold_nobody_up(capsys, monkeypatch):
    monkeypatch.setattr("services.webhooks.telling._MOST_WAITING", 1)
    telling = Telling(Settings(api=API))
    for _ in range(2):
        telling.tell(start(), Started("a-run"))
    assert "too many wait" in capsys.readouterr().out


def test_the_idempotency_key_is_the_events_own_and_the_rules():
    assert start().idempotency_key == "webhook/github/deployment/7/created/deploy"
