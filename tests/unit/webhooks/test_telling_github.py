"""What GitHub is told of its deployments: of a run or a refusal, in a line, and of nothing else; and for how long it is tried."""

import json
from uuid import UUID

import pytest

from services.webhooks.telling import PATIENCE_SECONDS, is_told, pause_after, word_of
from steward.clients.github_asking import GitHubAway, GitHubRefused
from steward.clients.webhook_starts import Waiting
from steward.clients.webhook_untold import Untold
from steward.errors import BadInput
from steward.settings import Webhooks

SECRETS = ["file:/nowhere"]
API = {"repository": "octo/shop", "token": "file:/nowhere"}
RUN = UUID(int=7)
BODY = json.dumps({"deployment": {"id": 7}}).encode()


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
        "body": BODY,
    }
    return Waiting(**{**told, **changes})


def ended(**changes):
    told = {
        "id": 1,
        "deployment": "flow/deployment",
        "state": "started",
        "run_id": RUN,
        "why": None,
        "age_seconds": 0.0,
        "source": "github",
        "body": BODY,
    }
    return Untold(**{**told, **changes})


def test_a_run_is_queued_and_a_refusal_an_error():
    settings = Settings(api=API)
    queued = word_of(settings, ended())
    assert (queued.deployment, queued.state, queued.description) == (7, "queued", f"run {RUN} of flow/deployment")
    error = word_of(settings, ended(state="refused", run_id=None, why="no\nflag"))
    assert (error.state, error.description) == ("error", "refused: no flag")


def test_a_long_reason_is_cut_to_what_github_takes():
    told = word_of(Settings(api=API), ended(state="refused", why="x" * 500)).description
    assert (len(told), told[-1]) == (140, "…")


@pytest.mark.parametrize(
    ("changes", "github"),
    [
        ({}, {}),
        ({"source": "ci"}, {"api": API}),
        ({"source": "gone"}, {"api": API}),
        ({"body": None}, {"api": API}),
        ({"body": b'{"deployment": {}}'}, {"api": API}),
    ],
)
def test_there_is_no_word_where_there_is_nothing_to_say_or_nobody(changes, github):
    assert word_of(Settings(**github), ended(**changes)) is None


@pytest.mark.parametrize(
    ("changes", "github", "told"),
    [
        ({}, {"api": API}, True),
        ({}, {}, False),
        ({"source": "ci"}, {"api": API}, False),
        ({"event": "workflow_run"}, {"api": API}, False),
    ],
)
def test_deployments_at_github_alone_are_told(changes, github, told):
    assert is_told(Settings(**github), start(**changes)) is told


def test_github_that_is_away_is_tried_again_after_as_long_as_it_was_away_for_a_day():
    away = GitHubAway("no answer")
    ages = (0, 2, 100, 1000, PATIENCE_SECONDS - 1, PATIENCE_SECONDS)
    assert [pause_after(away, age) for age in ages] == [2, 2, 100, 300, 300, None]


def test_github_that_says_when_it_will_answer_is_not_asked_before():
    assert pause_after(GitHubAway("asked too often", retry_after_seconds=900), 1) == 900


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (GitHubRefused("not there", status=404), None),
        (GitHubRefused("too many", status=422), None),
        # A token is somebody's to mend; so are a repository that was renamed, and a proxy that answers in GitHub's place.
        (GitHubRefused("it is elsewhere", status=301), 2),
        (GitHubRefused("bad token", status=401), 2),
        (GitHubRefused("may not", status=403), 2),
        (GitHubRefused("no JSON"), 2),
        (BadInput("no secret there"), 2),
        (KeyError("state"), 2),
    ],
)
def test_what_github_refuses_is_tried_no_more_and_what_somebody_mends_is(error, again):
    assert pause_after(error, 0) == again


def test_the_idempotency_key_is_the_events_own_and_the_rules():
    assert start().idempotency_key == "webhook/github/deployment/7/created/deploy"
