"""What is noted, what is forgotten and what is dropped; and what the writer says of how far it got."""

from __future__ import annotations

from threading import Event

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from steward.flags.application import OutcomeCollector, Outcomes, UnusableKinds, Writer
from steward.flags.application.exposures import Kind, exposure, pseudonym
from steward.flags.application.store import OutcomesRefused, StoreAway, Total
from tests.unit.flags.strategies import BRIEF

FLAG, IN_STEP = "search", {"rollout": "r-1", "step": 1, "slow_ms": 20.0}


@pytest.fixture
def outcomes():
    return Outcomes(b"salt")


class Kept:
    """A store that keeps what it is given once, as the database does, while it is not told otherwise."""

    def __init__(self) -> None:
        self.rows, self.trouble, self.asked, self.came = {}, None, 0, Event()

    def record(self, outcomes):
        self.asked += 1
        self.came.set()
        if self.trouble:
            raise self.trouble
        for each in outcomes:
            self.rows.setdefault((each.at, each.kind, each.user), each.variant)

    def totals(self, steps):
        told = {}
        for (at, kind, _), variant in self.rows.items():
            if at in steps:
                told[at, variant, kind] = told.get((at, variant, kind), 0) + 1
        return [Total(*key, users) for key, users in told.items()]

    def close(self):
        pass


@pytest.fixture
def kept():
    return Kept()


@pytest.fixture
def writer(outcomes, kept):
    ticks = iter(range(1, 1000))
    return Writer(outcomes, kept, clock=lambda: next(ticks))


def exposed(outcomes, user, variant="on", **metadata):
    return outcomes.exposed(FLAG, variant, {**IN_STEP, **metadata}, user)


def waiting(outcomes):
    return [(each.kind, each.variant) for each in outcomes.take(1000)]


def test_a_user_counts_once_a_step_and_kind_however_often_he_comes(outcomes):
    for _ in range(3):
        seen = exposed(outcomes, "ada")
        outcomes.ended([seen], failed=True, seconds=0.021)
    assert waiting(outcomes) == [(Kind.EXPOSED, "on"), (Kind.ERROR, "on"), (Kind.SLOW, "on")]
    exposed(outcomes, "ada", step=2)
    assert waiting(outcomes) == [(Kind.EXPOSED, "on")]


def test_what_is_neither_failed_nor_slower_than_the_frozen_limit_is_no_outcome(outcomes):
    outcomes.ended([exposed(outcomes, "ada")], failed=False, seconds=0.020)
    outcomes.ended([exposed(outcomes, "bob", slow_ms=0)], failed=False, seconds=60)
    assert waiting(outcomes) == [(Kind.EXPOSED, "on")] * 2


def test_an_error_counts_under_the_variant_of_the_steps_first_exposure(outcomes):
    exposed(outcomes, "ada", "off")
    outcomes.ended([exposed(outcomes, "ada", "on")], failed=True, seconds=0)
    assert waiting(outcomes) == [(Kind.EXPOSED, "off"), (Kind.ERROR, "off")]


def test_an_error_counts_in_the_step_of_its_exposure_though_the_next_has_begun(outcomes):
    under_way = exposed(outcomes, "ada", "off")
    exposed(outcomes, "ada", "on", step=2)
    outcomes.ended([under_way], failed=True, seconds=0)
    assert [(each.at.step, each.kind, each.variant) for each in outcomes.take(9)] == [
        (1, Kind.EXPOSED, "off"),
        (2, Kind.EXPOSED, "on"),
        (1, Kind.ERROR, "off"),
    ]


def test_what_finds_no_room_is_dropped_and_told_and_may_be_noted_again(outcomes):
    small = Outcomes(b"salt", room=2)
    users = [exposed(small, name) for name in ("ada", "bob", "eve")]
    small.ended(users, failed=True, seconds=0)
    assert (small.waiting, small.dropped) == (2, 4)
    assert len(small.take(9)) == 2
    exposed(small, "eve")
    assert small.dropped == 5, "what was taken holds its room"
    small.settle(2)
    exposed(small, "eve")
    assert small.waiting == 1


def test_a_process_that_lives_through_many_rollouts_does_not_grow(outcomes):
    for number in range(50):
        for flag in ("search", "basket"):
            for user in range(20):
                outcomes.exposed(flag, "on", {"rollout": f"r-{number}", "step": 1}, str(user))
            outcomes.settle(len(outcomes.take(100)))
    assert sorted((step.flag, step.rollout) for step in outcomes.steps) == [
        ("basket", "r-48"),
        ("basket", "r-49"),
        ("search", "r-48"),
        ("search", "r-49"),
    ]
    for number in range(200):
        outcomes.exposed(f"flag-{number}", "on", IN_STEP, "ada")
    assert len(outcomes.steps) == 64
    few = Outcomes(b"salt", users_known=10)
    for user in range(95):
        exposed(few, str(user))
    assert len(next(iter(few._known.values())).users) == 5


def test_all_that_was_noted_is_written_when_the_database_is_back(outcomes, writer, kept):
    exposed(outcomes, "ada")
    kept.trouble = StoreAway("away")
    for _ in range(3):
        with pytest.raises(StoreAway):
            writer.write()
    outcomes.ended([exposed(outcomes, "ada")], failed=True, seconds=0)
    assert (writer.recorded_at, outcomes.waiting) == (0, 2)
    kept.trouble = None
    writer.write()
    assert (outcomes.waiting, outcomes.dropped) == (0, 0)
    assert {(total.kind, total.users) for total in writer.totals} == {("exposed", 1), ("error", 1)}


def test_it_is_fresh_only_up_to_when_nothing_was_left_behind(outcomes, writer, kept):
    writer.write()
    assert (writer.recorded_at, kept.asked) == (1, 1), "nothing is written, too, and tells that the process lives"
    for user in range(5_001):
        exposed(outcomes, str(user))
    writer.write()
    assert (writer.recorded_at, kept.asked) == (3, 3)
    kept.trouble = StoreAway("away")
    with pytest.raises(StoreAway):
        writer.write()
    assert writer.recorded_at == 3


def test_rows_that_the_database_refuses_for_ever_are_dropped_and_hold_nobody_up(outcomes, writer, kept):
    exposed(outcomes, "ada")
    kept.trouble = OutcomesRefused("22023")
    writer.write()
    assert (outcomes.waiting, outcomes.dropped) == (0, 1)
    kept.trouble = None
    exposed(outcomes, "bob")
    writer.write()
    assert outcomes.dropped == 1
    assert len(kept.rows) == 1


def test_the_thread_outlives_whatever_is_raised_and_writes_what_is_left_when_it_leaves(outcomes, kept):
    kept.trouble = RuntimeError("a fault of ours")
    with Writer(outcomes, kept, interval_seconds=0.001):
        assert kept.came.wait(30)
        kept.trouble = None
        exposed(outcomes, "ada")
    assert len(kept.rows) == 1


def test_prometheus_is_told_zero_where_nobody_erred_and_nothing_where_nobody_looked(outcomes, writer):
    registry = CollectorRegistry()
    registry.register(OutcomeCollector(outcomes, writer))

    def users(kind, variant):
        labels = {"flag": FLAG, "rollout": "r-1", "step": "1", "variant": variant, "kind": kind}
        return registry.get_sample_value("steward_flag_users", labels)

    exposed(outcomes, "ada", slow_ms=None)
    assert users("exposed", "on") is None, "it is not written yet"
    writer.write()
    assert (users("exposed", "on"), users("error", "on"), users("slow", "on")) == (1, 0, None)
    assert users("error", "off") is None
    outcomes.ended([exposed(outcomes, "bob", "off")], failed=True, seconds=0.001)
    writer.write()
    assert (users("error", "off"), users("slow", "off"), users("slow", "on")) == (1, 0, 0)
    assert registry.get_sample_value("steward_flag_recorded_timestamp_seconds") == writer.recorded_at


@pytest.mark.parametrize(
    ("kinds", "seen"),
    [
        ("ordered", "one text"),
        (["Ordered"], "no names"),
        (["o" * 41], "no names"),
        ([7], "no names"),
        (["error"], "counted by themselves"),
        ([f"kind_{number}" for number in range(11)], "11 kinds"),
    ],
)
def test_an_application_that_names_what_nothing_can_count_does_not_start(kinds, seen):
    with pytest.raises(UnusableKinds, match=seen) as refused:
        Outcomes(b"salt", kinds=kinds)
    assert refused.value.hint


def test_what_an_application_names_counts_as_exactly_as_errors_and_zero_where_nobody_met_it(kept):
    outcomes = Outcomes(b"salt", kinds=["ordered", "rated"])
    writer, registry = Writer(outcomes, kept), CollectorRegistry()
    registry.register(OutcomeCollector(outcomes, writer))
    told = registry.get_sample_value
    assert [told("steward_flag_kinds", {"kind": kind}) for kind in (*Kind, "ordered", "rated")] == [1] * 5
    assert told("steward_flag_kinds", {"kind": "basket"}) is None
    for user in ("ada", "bob", "ada"):
        seen = exposed(outcomes, user, "off")
        for _ in range(2):
            outcomes.met("ordered", [seen])
    outcomes.met("ordered", [exposed(outcomes, "ada", "on")])
    outcomes.ended([exposed(outcomes, "ada")], failed=True, seconds=0)
    writer.write()
    users = {
        kind: told("steward_flag_users", {"flag": FLAG, "rollout": "r-1", "step": "1", "variant": "off", "kind": kind})
        for kind in outcomes.kinds
    }
    assert users == {"exposed": 2, "error": 1, "slow": 0, "ordered": 2, "rated": 0}


def test_as_many_kinds_as_a_plan_has_metrics_are_told_apart():
    kinds = [f"kind_{number}" for number in range(10)]
    outcomes = Outcomes(b"salt", kinds=kinds)
    for variant in ("on", "off", "third"):
        seen = exposed(outcomes, variant, variant)
        for kind in (*kinds, *kinds):
            outcomes.met(kind, [seen])
    expected = [(kind, variant) for variant in ("on", "off", "third") for kind in ("exposed", *kinds)]
    assert waiting(outcomes) == expected


_ANY = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300) | st.lists(st.integers())


@BRIEF
@given(flag=st.text(max_size=300), variant=st.text(max_size=300), rollout=_ANY, step=_ANY, slow=_ANY)
def test_whatever_metadata_says_it_is_counted_as_the_database_can_hold_it_or_not_at_all(
    flag, variant, rollout, step, slow
):
    seen = exposure(flag, variant, {"rollout": rollout, "step": step, "slow_ms": slow}, b"u" * 16)
    if seen is not None:
        for name in (seen.at.flag, seen.at.rollout, seen.variant):
            assert 0 < len(name.encode()) <= 200
            assert "\0" not in name
        assert 0 <= seen.at.step < 2**31
        assert seen.slow_ms is None or seen.slow_ms > 0


def test_users_are_pseudonyms_that_no_two_flags_or_salts_share():
    known = {
        pseudonym(salt, flag, key)
        for salt, flag, key in ((b"a", "b", "c"), (b"ab", "", "c"), (b"a", "bc", ""), (b"a", "b", "\ud800"))
    }
    assert len(known) == 4
    assert {len(each) for each in known} == {16}
