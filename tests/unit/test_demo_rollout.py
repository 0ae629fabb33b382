"""What the demo of two rollouts asks for, and what it makes of what it saw."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prefect.client.schemas.objects import FlowRun

from demo.commands import Shell
from demo.rollout import asked
from demo.rollout.come_to import CameTo, against_erring, against_good, against_traffic, seconds_to_roll_back
from demo.rollout.play import ending, table, users_saw
from demo.rollout.told import Receivers, ReceiversSilent, receivers
from demo.shop import releases
from demo.shop.counts import Counts
from demo.shop.visits import Answer
from demo.stage import Stage
from steward.rollout.plan import Plan
from steward.rollout.record import Rollout
from steward.rollout.request import RolloutRequest
from steward.rollout.state import State
from steward.settings import VARIABLE, Settings
from steward.verdicts import Verdict

BEGAN = datetime(2026, 11, 26, 19, 0, tzinfo=UTC)
#: The last answer with what was taken back, so many seconds after the beginning.
LAST = 50.5


def at(seconds):
    return BEGAN + timedelta(seconds=seconds)


def rollout(release, flag, state, **fields):
    row = {
        "id": 7,
        "operation_id": 3,
        "environment": "production",
        "release": release,
        "flag": flag,
        "variant": "on",
        "plan": asked.PLAN,
        "state": state,
        "step": 4,
        "exposure": 100,
        "step_begun_at": at(10),
        "epoch": 1,
        "lease_seconds": asked.PLAN.lease_seconds,
        "lease_until": at(60),
        "lease_left": -1.0,
        "colour": "green",
        "previous_colour": "blue",
        "previous_release": "steady",
        "slow_ms": 25.0,
        "who": None,
        "why": None,
        "withdrawn_at": None,
        "begun_at": BEGAN,
        "exposed_at": at(5),
        "ended_at": at(110),
    }
    return Rollout.model_validate({**row, **fields})


def came(release, flag, *, state, verdict, exposed=0, error=0, **fields):
    run = FlowRun(flow_id="00000000-0000-0000-0000-000000000001", name="a-run")
    counted = {"exposed": exposed, "error": error}
    return CameTo(rollout(release, flag, state, **fields), verdict, run, Path("statement"), counted)


def good(**fields):
    return came(asked.GOOD, asked.GOOD_FLAG, **{"state": State.CERTIFIED, "verdict": Verdict.VERIFIED, **fields})


def erring(**fields):
    said = {"state": State.ROLLED_BACK, "verdict": Verdict.REFUTED, "exposed": 82, "error": 8, "step": 1}
    return came(asked.ERRING, asked.ERRING_FLAG, **{**said, "withdrawn_at": at(50), **fields})


def seen(**fields):
    def arm(users, failed, last):
        return {"users": users, "failed_users": failed, "answers": 2 * users, "last_at": at(last).timestamp()}

    said = {
        "arms": {"good on": arm(5000, 50, 110), "erring-ranking on": arm(82, 8, LAST), "steady off": arm(900, 9, 9)},
        "failures": {"500": 120},
        "failed": 120,
        "turned_away": 0,
        "users": 6000,
        "sessions": 9000,
        "requests": 30000,
        "milliseconds": {"/search": {"p50": 20.4, "p95": 31.0}},
    }
    return {**said, **fields}


def test_what_is_asked_for_is_the_shipped_steps_and_a_valid_form():
    for release, flag in ((asked.GOOD, asked.GOOD_FLAG), (asked.ERRING, asked.ERRING_FLAG)):
        form = RolloutRequest.model_validate(asked.request(release, flag, 1))
        assert form.plan.steps == Plan().steps
        assert (form.plan.alpha, form.plan.beta) == (Plan().alpha, Plan().beta)
        assert releases.read(release).flag == flag


def test_two_that_ended_as_they_should_have_nothing_against_them():
    against = [*against_good(good(), seen()), *against_erring(erring(), seen()), *against_traffic(seen())]
    assert against == []
    assert [*ending(against)] == [
        "both ended as they should, and what the users counted themselves agrees with what the judge was told"
    ]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"verdict": Verdict.UNKNOWN}, "it is rolled_back, UNKNOWN"),
        ({"state": State.CERTIFIED}, "it is certified, REFUTED"),
        ({"exposed": 81}, "users exposed: 81 as the judge counted, 82 as they say themselves"),
        ({"error": 9}, "users error: 9 as the judge counted, 8 as they say themselves"),
        (
            {"withdrawn_at": at(LAST - asked.PLAN.lease_seconds - 1)},
            "users were exposed 21.0 s after it was taken back",
        ),
    ],
)
def test_one_that_was_not_taken_back_for_harm_or_not_by_all_accounts_is_told(fields, told):
    (only,) = against_erring(erring(**fields), seen())
    assert told in only


@pytest.mark.parametrize("fields", [{"verdict": Verdict.UNKNOWN}, {"state": State.ROLLED_BACK}])
def test_a_good_release_that_was_not_let_out_is_told(fields):
    (only,) = against_good(good(**fields), seen())
    assert only.startswith("good was to be certified, VERIFIED")


def test_a_rollout_that_no_user_noticed_is_told():
    nobody = seen(arms={})
    assert [*against_good(good(), nobody)] == ["no user says to have had good's new search"]
    assert len([*against_erring(erring(), nobody)]) == 2


def test_a_request_that_fails_otherwise_than_the_releases_fail_theirs_is_told():
    (only,) = against_traffic(seen(failures={"500": 120, "reset": 2, "503": 1}, failed=123))
    assert only == "requests failed that no release fails: 2 reset, 1 503"
    (slow,) = against_traffic(seen(turned_away=4))
    assert slow.startswith("4 sessions were turned away")


def test_the_way_back_is_timed_by_the_row_and_by_the_last_user():
    assert seconds_to_roll_back(erring(), seen()) == pytest.approx((45, 0.5))
    assert seconds_to_roll_back(good(), seen()) is None


def test_the_table_has_a_line_for_each_with_the_users_own_numbers():
    _, first, second = table(good(), erring(), seen())
    assert first.split() == ["good", "new-search", "100", "%", "certified", "VERIFIED", "110", "s", "5,000", "50"]
    assert second.split() == [
        "erring-ranking",
        "new-ranking",
        "5",
        "%",
        "rolled",
        "back",
        "REFUTED",
        "110",
        "s",
        "82",
        "8",
    ]
    assert "120 searches failed as their release fails them, 0 requests otherwise" in next(users_saw(seen()))


def test_users_are_counted_for_each_release_and_variant():
    counts = Counts()
    for user, release, status in (
        ("ada", "good", 200),
        ("ada", "good", 500),
        ("bob", "good", 200),
        ("ada", "next", 200),
    ):
        counts.answered(user, "/search", Answer(status, 0.01, {"x-release": release, "x-variant": "on"}))
    arms = json.loads(json.dumps(counts.report().as_json()))["arms"]
    told = {name: (arm["users"], arm["failed_users"], arm["answers"]) for name, arm in arms.items()}
    assert told == {"good on": (2, 1, 3), "next on": (1, 0, 1)}
    assert arms["good on"]["first_at"] <= arms["good on"]["last_at"] <= arms["next on"]["last_at"]


@pytest.fixture
def stage(tmp_path):
    """A folder with settings, and nothing that runs."""
    (tmp_path / "logs").mkdir()
    file = tmp_path / "settings.toml"
    file.write_text('[postgres]\nurl = "postgresql://steward@127.0.0.1:1/steward"\n')
    shell = Shell(Path(__file__).parents[2], {VARIABLE: str(file)}, tmp_path / "logs")
    return Stage(shell, Settings.model_construct(), tmp_path / "environment")


def test_receivers_stand_in_the_settings_for_as_long_as_they_run(stage):
    file = Path(stage.shell.environment[VARIABLE])
    before = file.read_text()
    with receivers(stage) as told:
        table = tomllib.loads(file.read_text())
        assert set(table["notices"]["targets"]) == {"releases", "on-call", "deployments"}
        assert table["postgres"] == tomllib.loads(before)["postgres"]
        assert [*told.lines()] == ["0 to the webhook, 0 to the mail server, 0 to GitHub's deployments"]
    assert file.read_text() == before


def test_receivers_of_a_demo_that_was_killed_are_not_taken_for_ones_that_listen(stage):
    file = Path(stage.shell.environment[VARIABLE])
    file.write_text(f"{file.read_text()}\n[notices]\n")
    with pytest.raises(ReceiversSilent, match="make up writes it anew"), receivers(stage):
        pytest.fail("they were taken")


def test_each_message_to_the_webhook_is_told_by_its_first_line(tmp_path):
    file = tmp_path / "received.jsonl"
    lines = [{"kind": "slack", "said": "*good* begins\nmore"}, {"kind": "mail", "said": {"subject": "good begins"}}]
    file.write_text("".join(f"{json.dumps(each)}\n" for each in lines))
    assert [*Receivers(file).lines()] == [
        "1 to the webhook, 1 to the mail server, 0 to GitHub's deployments",
        "  *good* begins",
    ]
