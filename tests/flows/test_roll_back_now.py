"""The way back as a run: shown by who answers, stated in evidence, and gone once however often its process dies."""

from __future__ import annotations

import tomllib

import pytest
import tomli_w
from prefect import tags

from flows.roll_back_now import roll_back_now
from steward.clients.postgres import connect
from steward.evidence.store import list_statements
from steward.rollout.return_report import RollBackNotVerified, RollBackRequest
from steward.rollout.returning import NoWayBack
from steward.settings import load
from tests.flows.durable_ground import unique
from tests.flows.killed_runs import Death, run_killed
from tests.flows.prefect_server import artifact
from tests.integration.roll_back_ground import AFTER, BEFORE, ground, serving

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def laid(replica):
    with serving(replica):
        yield


@pytest.fixture
def here(laid, book, ledger_settings, tmp_path, monkeypatch):
    """`good` has the traffic and is certified, as `slow` and `steady` were before it; in the database of the ledger."""
    own = load(ledger_settings)
    with ground(own) as found:
        path = tmp_path / "settings.toml"
        ours = found.settings.model_dump(mode="json", exclude_none=True, include={"balancers", "application_hosts"})
        path.write_text(tomli_w.dumps({**tomllib.loads(ledger_settings.read_text()), **ours}))
        monkeypatch.setenv("STEWARD_SETTINGS", str(path))
        found.settings = load(path)
        found.begin()
        found.certified("slow", BEFORE)
        found.certified("steady", BEFORE)
        found.rollout, found.file = found.certified("good"), path
        yield found


def request_of(here):
    return RollBackRequest(environment=here.environment, by="mara", because="users see errors")


def stated(here):
    with connect(here.settings) as db:
        return list_statements(db, "roll-back-now", subject=here.environment)


def test_it_is_verified_by_who_answers_users_and_by_the_flag(here):
    report = roll_back_now(request_of(here))
    assert (report.verdict, report.returned.left, report.returned.to) == ("VERIFIED", "good", "steady")
    assert report.proof.by == {"steady": 100}
    assert here.is_off(here.rollout)
    assert [each.verdict for each in stated(here)] == ["VERIFIED"]
    assert "steady: 100" in artifact("roll-back")
    # A second click goes no further back, and says whose word it was.
    again = roll_back_now(request_of(here))
    assert (again.verdict, again.returned.roll_back, again.returned.joined) == (
        "VERIFIED",
        report.returned.roll_back,
        True,
    )
    assert here.answer() == {"steady": 20}


def test_killed_after_it_was_gone_and_before_that_was_recorded_it_is_gone_once(replica, here):
    period, request = unique("night"), request_of(here)
    asked = request.model_dump(mode="json")
    run_killed(replica, here.file, "flows.roll_back_now.roll_back_now", asked, Death("after", "go_back"), period=period)
    with tags(f"period:{period}"):
        report = roll_back_now(request)
    assert (report.verdict, report.attempt, report.returned.to) == ("VERIFIED", 2, "steady")
    assert here.rows("SELECT count(*) FROM steward.roll_backs WHERE environment = %s") == [(1,)]
    assert here.answer() == {"steady": 20}


def test_somebody_who_is_answered_by_the_version_that_was_left_refutes_it(here, monkeypatch):
    # As a hand at the load balancer's socket would: after it was gone, and before users are asked.
    def asked(*of):
        here.balancer.direct(AFTER)
        return ask(*of)

    from tasks import roll_backs  # noqa: PLC0415  whose name it is looked up by

    ask = roll_backs.ask_who_answers
    monkeypatch.setattr(roll_backs, "ask_who_answers", asked)
    with pytest.raises(
        RollBackNotVerified, match="100 of 100 requests were answered by good, not by steady"
    ) as refuted:
        roll_back_now(request_of(here))
    assert refuted.value.verdict == "REFUTED"
    assert [each.verdict for each in stated(here)] == ["REFUTED"]


def test_where_nothing_is_certified_to_go_back_to_the_run_fails_and_nothing_is_touched(here):
    here.rows(
        "UPDATE steward.releases SET certified_at = NULL WHERE environment = %s AND release <> 'good' RETURNING 1"
    )
    with pytest.raises(NoWayBack):
        roll_back_now(request_of(here))
    assert not here.is_off(here.rollout)
    assert here.answer() == {"good": 20}
