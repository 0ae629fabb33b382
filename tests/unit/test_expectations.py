"""What was missed, and what becomes of it: decided by policy, and recorded whatever it is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from services.watch.__main__ import expected
from steward.errors import BadInput
from steward.operations.alarms import Watched, assess
from steward.operations.expectations import (
    MOST_TICKS,
    CatchUp,
    Expectation,
    Known,
    at_rest,
    plan_missed,
    read_expectations,
)
from steward.settings import load
from steward.settings.parts import Part, has
from tests.unit.test_settings import WHOLE

ROOT = Path(__file__).parents[2]
SHIPPED = {str(each): each for each in read_expectations(ROOT / "deployments" / "operations.toml")}
NIGHT = {
    "name": "night",
    "subject": "production",
    "resource": "cluster",
    "deployment": "night/night",
    "cron": "30 1 * * *",
    "period": "%Y-%m-%d",
    "grace_minutes": 30,
    "verified_within_hours": 26,
}
SINCE = datetime(2025, 7, 28, 12, tzinfo=UTC)
#: Three nights later, after the third one's grace.
NOW = datetime(2025, 7, 31, 2, 30, tzinfo=UTC)


def night(**values):
    return Expectation(**{**NIGHT, **values})


def missed(expectation, known=(), now=NOW):
    planned = plan_missed(expectation, expectation.ticks(SINCE, now), dict(known), now)
    return {expectation.period_of(tick): state for tick, state in planned.items()}


@pytest.mark.parametrize(
    ("catch_up", "states"),
    [(CatchUp.SKIP, ["skipped"] * 3), (CatchUp.LATEST, ["skipped", "skipped", "due"]), (CatchUp.ALL, ["due"] * 3)],
)
def test_three_missed_nights_are_decided_by_policy(catch_up, states):
    periods = ["2025-07-29", "2025-07-30", "2025-07-31"]
    assert missed(night(catch_up=catch_up)) == dict(zip(periods, states, strict=True))


def test_nothing_before_it_was_expected_was_missed():
    assert night().ticks(NOW, NOW + timedelta(hours=3)) == []


def test_a_tick_is_not_missed_before_its_grace_is_over():
    assert missed(night(catch_up="all"), now=NOW - timedelta(minutes=31)) == {"2025-07-29": "due", "2025-07-30": "due"}


def test_an_older_night_is_skipped_as_soon_as_a_newer_one_is_on():
    assert missed(night(), now=NOW - timedelta(minutes=31)) == {"2025-07-29": "skipped", "2025-07-30": "skipped"}


@pytest.mark.parametrize("state", ["running", "waiting", "done", "failed", "undone", "cancelled", "skipped"])
def test_what_the_ledger_knows_was_not_missed(state):
    known = {period: Known(state, 1) for period in ("2025-07-29", "2025-07-30", "2025-07-31")}
    assert missed(night(), known) == {}


def test_a_due_night_that_has_not_begun_gives_way_to_the_newest():
    due = Known("due", 0, datetime(2025, 7, 30, 1, 30, tzinfo=UTC))
    known = {"2025-07-29": Known("done", 1), "2025-07-30": due}
    assert missed(night(), known) == {"2025-07-30": "skipped", "2025-07-31": "due"}
    assert missed(night(catch_up="all"), known) == {"2025-07-31": "due"}


def test_what_a_person_asked_for_does_not_give_way():
    asked = Known("due", 0, datetime(2025, 7, 30, 9, tzinfo=UTC))
    assert missed(night(), {"2025-07-29": Known("done", 1), "2025-07-30": asked}) == {"2025-07-31": "due"}


def test_a_tick_counts_from_its_own_second_on():
    tick = datetime(2025, 7, 31, 1, 30, tzinfo=UTC)
    assert night().ticks(SINCE, tick)[-1] == tick
    assert night().ticks(SINCE, tick - timedelta(seconds=1))[-1] == tick - timedelta(days=1)


def test_only_so_many_ticks_are_looked_at():
    minutely = night(cron="* * * * *", period="%Y-%m-%dT%H:%MZ")
    assert len(minutely.ticks(SINCE - timedelta(days=365), NOW)) == MOST_TICKS


def test_the_dead_mans_switch_counts_from_the_last_verified_or_from_when_it_was_expected():
    assert not assess(Watched(night(), SINCE, NOW - timedelta(hours=25)), NOW).is_overdue
    late = assess(Watched(night(), SINCE, NOW - timedelta(hours=51)), NOW)
    assert (late.is_overdue, late.day) == (True, 1)
    never = assess(Watched(night(), NOW - timedelta(hours=27), None), NOW)
    assert (never.is_overdue, never.day) == (True, 0)
    assert "never VERIFIED; expected within 26 h, 27.0 h have passed" in never.told


def test_an_operation_without_a_switch_is_never_overdue():
    assert not assess(Watched(night(verified_within_hours=None), SINCE, None), NOW).is_overdue


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"cron": "61 1 * * *"}, "no cron line"),
        ({"cron": "0 0 30 2 *"}, "no cron line"),
        ({"cron": "30 1 * *"}, "no cron line"),
        ({"cron": "0 30 1 * * *"}, "not minute hour day month weekday"),
        ({"cron": "30 1,13 * * *"}, "an operation happens once a period"),
        ({"deployment": "night"}, "deployment"),
        ({"grace": 3}, "Extra inputs"),
        ({"catch_up": "some"}, "catch_up"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused(values, told):
    with pytest.raises(ValidationError, match=told):
        night(**values)


def test_a_file_that_is_no_description_is_refused_by_name(tmp_path):
    path = tmp_path / "operations.toml"
    with pytest.raises(BadInput, match=r"cannot read .*operations\.toml"):
        read_expectations(path)
    path.write_text("[[operation]\n")
    with pytest.raises(BadInput, match="is not TOML"):
        read_expectations(path)
    path.write_text('[[operation]]\nname = "night"\n')
    with pytest.raises(BadInput, match=r"operation\.0\.cron"):
        read_expectations(path)


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_expected_is_scheduled_so_in_prefect_yaml(name):
    expected = SHIPPED[name]
    deployments = {each["name"]: each for each in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}
    flow, deployment = expected.deployment.split("/")
    assert flow == expected.name
    schedules = deployments[deployment]["schedules"]
    assert (expected.cron, "UTC", expected.parameters) in [
        (each["cron"], each["timezone"], each.get("parameters", {})) for each in schedules
    ]


HOOKED = """
[webhooks]
url = "https://hooks.example.net"
sources.github = { kind = "github", secrets = ["file:/s"], api = { repository = "o/s", token = "file:/t", HOOK } }
"""
#: What makes each part; without `hook` nothing can be reconciled.
PARTS = {
    Part.GATEWAY: '[gateway]\ncatalog = "/catalog"\ncallers = "/callers"\n',
    Part.GITHUB_HOOK: HOOKED.replace("HOOK", "hook = 7"),
    Part.KEYRING: '[vault]\nurl = "https://v"\n[keyring]\nurl = "postgresql://k@h/k"\npassword = "file:/k"\nkek = "kek"\n',
}


@pytest.fixture
def settings(tmp_path):
    def written(more=""):
        path = tmp_path / "settings.toml"
        path.write_text(WHOLE + more)
        return load(path)

    return written


@pytest.mark.parametrize("part", PARTS)
def test_what_needs_a_part_is_expected_where_the_settings_have_it(settings, part):
    needing = [each for each in SHIPPED.values() if each.needs is part]
    assert needing
    assert at_rest(needing, settings()) == needing
    assert at_rest(needing, settings(PARTS[part])) == []


def test_a_source_of_webhooks_without_a_hook_has_nothing_to_reconcile(settings):
    assert not has(settings(HOOKED.replace(", HOOK", "")), Part.GITHUB_HOOK)
    assert not has(settings('[webhooks]\nurl = "https://h"\n'), Part.GITHUB_HOOK)


def test_a_platform_without_any_of_these_parts_still_expects_its_nights(settings):
    resting = {each.name for each in at_rest(list(SHIPPED.values()), settings())}
    assert {each.name for each in SHIPPED.values()} - resting == {"nightly-snapshot", "seal-ai-attempts"}


def test_the_watch_says_what_it_does_not_expect_and_why(settings, capsys):
    there = expected(settings(PARTS[Part.GATEWAY]), ROOT / "deployments" / "operations.toml")
    assert {each.name for each in there} == {"nightly-snapshot", "seal-ai-attempts", "limit-drift"}
    told = capsys.readouterr().out
    assert 'not expected operation="reconcile-webhooks webhooks" because="the settings do not have [webhooks' in told
    assert "limit-drift" not in told


def test_a_part_that_nobody_knows_is_refused():
    with pytest.raises(ValidationError, match="needs"):
        night(needs="[gatway]")


def test_the_night_is_expected_under_the_identity_that_its_flow_claims():
    from flows.nightly_snapshot import TONIGHT  # noqa: PLC0415  imports Prefect, which the other tests here do without

    expected = SHIPPED["nightly-snapshot production"]
    assert expected.subject == TONIGHT.cluster
    assert expected.resource == f"elasticsearch/{TONIGHT.cluster}/snapshots"
    assert expected.period_of(datetime(2025, 7, 31, 1, 30, tzinfo=UTC)) == "2025-07-31"
