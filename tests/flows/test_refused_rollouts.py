"""A rollout that is refused before it begins: whoever asked for it at GitHub hears so, and nobody else is bothered."""

from __future__ import annotations

import tomllib
import uuid

import pytest
import tomli_w
from prefect import tags

from flows.production_rollout import production_rollout
from steward.errors import BadInput
from tests.flows import rollout_ground as at
from tests.flows.killed_runs import Death, run_killed
from tests.integration.notices_ground import listening

pytestmark = pytest.mark.without_search


@pytest.fixture
def heard(book, ledger_settings, tmp_path, monkeypatch):
    with listening(tmp_path) as heard:
        path = tmp_path / "settings.toml"
        path.write_text(tomli_w.dumps({**tomllib.loads(ledger_settings.read_text()), "notices": heard.table}))
        monkeypatch.setenv("STEWARD_SETTINGS", str(path))
        yield heard


def refused(period="", **fields):
    with tags(*(f"period:{each}" for each in [period] if each)), pytest.raises(BadInput) as found:
        production_rollout(at.request(flag="nosuch", **fields))
    return found.value


def test_its_deployment_at_github_fails_with_the_reason_and_the_others_are_told(heard):
    error = refused(deployment=42)
    [status] = heard.received.statuses
    assert status["state"] == "failure"
    assert status["description"] == f"refused: {error.message}"
    assert len(status["description"]) <= 140
    [said] = heard.received.slack
    assert "good is refused in production before it began: nothing was touched" in said
    assert error.message in said
    # There is no page of what did not begin.
    assert "/rollouts/" not in said
    [mail] = heard.received.mails
    assert "is refused" in mail["subject"]


def test_a_second_one_of_the_same_release_is_another_mail(heard):
    for deployment in (42, 43):
        refused(deployment=deployment)
    assert len({mail["message-id"] for mail in heard.received.mails}) == 2


def test_what_a_person_asked_for_is_that_persons_to_see(heard):
    refused()
    assert (heard.received.statuses, heard.received.slack, heard.received.mails) == ([], [], [])


@pytest.mark.parametrize("at_", ["before", "after"])
def test_killed_while_it_tells_so_it_tells_it_once(replica, heard, tmp_path, at_):
    period = f"good/{uuid.uuid4()}"
    request = at.request(flag="nosuch", deployment=42)
    flow = "flows.production_rollout.production_rollout"
    run_killed(replica, tmp_path / "settings.toml", flow, request, Death(at_, "tell"), period=period)
    refused(period, deployment=42)
    assert [status["state"] for status in heard.received.statuses] == ["failure"]
