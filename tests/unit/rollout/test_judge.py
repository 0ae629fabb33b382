"""A look's decision: proof goes on, harm goes back, and whatever is neither waits, until the deadline."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.rollout.judge import Decision, Judgement, judge
from steward.rollout.plan import Better, Metric, Plan
from steward.rollout.readings import MISSING, ArmCounts, Override, Sample
from steward.rollout.weighing import MOST_ANEW, Basis, limits_of
from tests.unit.rollout.looks import BEGUN, ERRORS, ERRORS_ONLY, GOOD, NOW, PLAN, WORD, arm, look, sample

NAN, INFINITE = math.nan, math.inf
WORSE = (1500, 75, 75)
RANK = [Decision.ROLL_BACK, Decision.UNKNOWN, Decision.HOLD, Decision.GO]


def decision(reading, plan=PLAN, now=NOW, before=None):
    return judge(reading, plan, now, before).decision


def test_users_who_do_as_the_others_go_on():
    found = judge(look(), PLAN, NOW)
    assert found.decision is Decision.GO
    assert found.may_renew
    assert "error: 15 of 1,500 (1%) exposed users, 285 of 28,500 (1%) others, 1 times as many" in found.reasons[0]


def test_users_who_err_five_times_as_often_are_taken_back_and_the_reason_says_by_which_figures():
    found = judge(look(on=WORSE), PLAN, NOW)
    assert found.decision is Decision.ROLL_BACK
    assert not found.may_renew
    (reason,) = found.reasons
    assert reason.startswith("harm: error: 75 of 1,500 (5%) exposed users, 285 of 28,500 (1%) others, 5 times as many")
    assert "rolled back at 200" in reason


def test_one_metric_that_is_harmed_outweighs_all_that_are_well():
    assert decision(look(on=(1500, 15, 300))) is Decision.ROLL_BACK


def test_one_metric_that_is_not_proved_holds():
    found = judge(look(on=(1500, 24, 75)), PLAN, NOW)
    assert found.decision is Decision.HOLD
    assert [each.metric for each in found.weighed if not each.proved] == ["error"]
    assert "of 20; proved in about" in found.reasons[0]
    assert found.seconds_to_go > 0


def test_evidence_of_harm_is_shared_among_the_metrics_and_of_health_is_not():
    assert math.exp(limits_of(PLAN, 0).bad) == pytest.approx(200)
    assert math.exp(limits_of(ERRORS_ONLY, 0).bad) == pytest.approx(100)
    assert math.exp(limits_of(PLAN, 0).good) == pytest.approx(20)


def test_a_step_begun_anew_has_a_fourth_of_the_errors_and_not_for_ever():
    assert math.exp(limits_of(PLAN, 1).bad) == pytest.approx(800)
    assert math.exp(limits_of(PLAN, 2).good) == pytest.approx(80)
    many = {"on": (3000, 30, 150), "off": (57_000, 570, 2850)}
    assert decision(look(**many, begun_anew=MOST_ANEW)) is Decision.GO
    assert decision(look(**many, begun_anew=MOST_ANEW + 1)) is Decision.UNKNOWN


def test_a_step_lasts_at_least_its_time_and_its_users():
    assert decision(look(begun_at=NOW - 59, at=NOW)) is Decision.HOLD
    few = Plan(minimum_users=1501)
    found = judge(look(), few, NOW)
    assert found.decision is Decision.HOLD
    assert "1500 of at least 1501 exposed users came" in found.reasons


def test_where_nobody_errs_the_slo_is_the_minimum_sample():
    assert decision(look(on=(298, 0), off=(5700, 0)), ERRORS_ONLY) is Decision.HOLD
    found = judge(look(on=(299, 0), off=(5700, 0)), ERRORS_ONLY, NOW)
    assert found.decision is Decision.GO
    assert found.weighed[0].basis is Basis.FLAWLESS


DONE = Metric(name="error", slo=0.1, better=Better.HIGHER, bad_ratio=1.5, within_seconds=30)


def test_where_more_is_better_harm_is_that_the_exposed_do_it_less():
    plan = Plan(metrics=(DONE,))
    assert decision(look(on=(1500, 300), off=(28_500, 5700)), plan) is Decision.GO
    assert decision(look(on=(1500, 450), off=(28_500, 5700)), plan) is Decision.GO
    assert decision(look(on=(1500, 150), off=(28_500, 5700)), plan) is Decision.ROLL_BACK


def looks_at_everybody(done_of, *, seconds, every=2, plan=Plan(metrics=(DONE,), minimum_seconds=10)):  # noqa: B008  frozen
    """Looks at a step that exposes all: 50 new users a second; *done_of* says of a user's age whether he has done it, of his number."""
    found, users = None, range(50 * seconds)
    for now in range(every, seconds + 1, every):
        came = [number for number in users if number < 50 * now]
        done = sum(done_of(now - number / 50, number) for number in came)
        at = BEGUN + now
        reading = look(on=(len(came), done), off=(0, 0), at=at, exposure=100, step=4)
        # As it is kept in the database.
        before = Judgement.model_validate_json(found.model_dump_json()) if found else None
        found = judge(reading, plan, at, before)
        yield found


def test_nobody_who_has_only_just_come_is_taken_for_one_who_will_not_do_it():
    """Three in ten do, each 20 s after he came: at first nobody has, and all the while a thousand have not yet."""
    found = list(looks_at_everybody(lambda age, number: age > 20 and number % 10 < 3, seconds=200))
    assert {each.decision for each in found[:4]} == {Decision.HOLD}
    assert {each.decision for each in found[5:]} == {Decision.GO}
    assert "at least 10% of the 0 who came at least 30 s ago" in found[0].reasons[-1] + found[5].reasons[-1]


def test_where_all_are_exposed_too_few_who_do_it_are_harm():
    """One in fifty does, where one in ten is the least."""
    found = list(looks_at_everybody(lambda age, number: age > 20 and number % 50 == 0, seconds=120))
    first = next(place for place, each in enumerate(found) if each.decision is Decision.ROLL_BACK)
    assert 30 <= found[first].at - BEGUN <= 60
    assert all(each.decision is Decision.ROLL_BACK for each in found[first:])
    assert "tested against at least 10% of the" in found[first].reasons[0]


def test_what_is_kept_of_when_users_came_does_not_grow_with_the_bake():
    *_, last = looks_at_everybody(lambda _age, number: number % 2 == 0, seconds=300)
    assert len(last.came) <= 20
    *_, last = looks_at_everybody(lambda _age, number: number % 2 == 0, seconds=300, every=1)
    assert len(last.came) <= 52
    assert judge(look(on=(300, 3), off=(0, 0), exposure=100), ERRORS_ONLY, NOW).came == ()


# Whatever cannot be read.


def without(arm_name, what):
    """The good look with one figure replaced by each kind of trouble."""

    def damaged(bad):
        reading = look()
        counts = getattr(reading, arm_name)
        changed = {"users": bad} if what == "users" else {"hits": {**counts.hits, what: bad}}
        return reading.model_copy(update={arm_name: counts.model_copy(update=changed)})

    return damaged


FIGURES = [(arm_name, what) for arm_name in ("on", "off") for what in ("users", "error", "slow")]
TROUBLES = {
    "missing": MISSING,
    "without a time": Sample(value=15),
    "not a number": sample(NAN),
    "infinite": sample(INFINITE),
    "stale": sample(15, NOW - PLAN.stale_seconds - 1),
    "from the future": sample(15, NOW + 6),
    "from a time that is none": sample(15, NAN),
    "from before the step": sample(15, BEGUN - 1),
    "negative": sample(-1),
    "a rate": sample(15.3),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize(("arm_name", "what"), FIGURES)
def test_a_figure_that_cannot_be_read_is_unknown_and_keeps_the_lease_from_being_renewed(arm_name, what, trouble):
    reading = without(arm_name, what)(TROUBLES[trouble])
    # The step began long ago, so that only this figure is old.
    found = judge(reading, PLAN.model_copy(update={"stale_seconds": 20}), NOW)
    assert found.decision is Decision.UNKNOWN
    assert not found.may_renew
    assert any(
        what in reason or f"{'exposed' if arm_name == 'on' else 'other'} users" in reason for reason in found.reasons
    )


@pytest.mark.parametrize("guard", ["availability", "search_p95_ms", "health"])
@pytest.mark.parametrize("value", [None, NAN, INFINITE])
def test_a_guard_that_cannot_be_read_is_unknown(guard, value):
    found = judge(look(guards={guard: value}), PLAN, NOW)
    assert found.decision is Decision.UNKNOWN
    assert not found.may_renew


def test_an_empty_reading_is_unknown():
    reading = look().model_copy(update={"on": ArmCounts(), "off": ArmCounts(), "guards": {}})
    assert decision(reading) is Decision.UNKNOWN


def test_more_who_err_than_there_are_is_unknown():
    assert decision(look(on=(1500, 1501, 75))) is Decision.UNKNOWN


@pytest.mark.parametrize(("on", "off"), [((0, 0, 0), GOOD["off"]), (GOOD["on"], (0, 0, 0)), ((0, 0, 0), (0, 0, 0))])
def test_zero_traffic_is_unknown_and_the_lease_lives_on(on, off):
    found = judge(look(on=on, off=off), PLAN, NOW)
    assert found.decision is Decision.UNKNOWN
    assert found.may_renew
    assert any("none came" in reason for reason in found.reasons)


def test_a_count_that_went_back_is_unknown_until_it_has_caught_up():
    before = judge(look(), PLAN, NOW)
    less = judge(look(on=(1500, 14, 75), at=NOW + 5), PLAN, NOW + 5, before)
    still = judge(look(on=(1500, 14, 75), at=NOW + 10), PLAN, NOW + 10, less)
    again = judge(look(at=NOW + 15), PLAN, NOW + 15, still)
    assert [less.decision, still.decision, again.decision] == [Decision.UNKNOWN, Decision.UNKNOWN, Decision.GO]


def test_harm_that_is_shown_goes_back_whatever_else_cannot_be_read():
    reading = look(on=WORSE)
    blind = reading.model_copy(update={"on": reading.on.model_copy(update={"hits": {"error": sample(75)}})})
    assert decision(blind) is Decision.ROLL_BACK


def looks_on(reading_at, *, seconds, plan=PLAN, every=5):
    """The looks one after the other, the last decision being whatever ended it."""
    found = None
    for now in range(int(NOW), int(NOW + seconds), every):
        found = judge(reading_at(now), plan, now, found)
        if found.decision in (Decision.GO, Decision.ROLL_BACK):
            break
    return found


def test_what_stays_unreadable_is_rolled_back_after_the_time_that_the_plan_allows():
    found = looks_on(lambda now: look(guards={"health": None}, at=now), seconds=600)
    assert found.decision is Decision.ROLL_BACK
    assert found.at == NOW + PLAN.blind_seconds
    assert found.reasons[0] == "not readable for 45 s, 45 s are allowed"


def test_a_gap_that_ends_in_time_is_forgotten():
    plan = Plan(minimum_users=10_000)
    gap = judge(look(guards={"health": None}), plan, NOW)
    well = judge(look(at=NOW + 30), plan, NOW + 30, gap)
    later = judge(look(at=NOW + 60, guards={"health": None}), plan, NOW + 60, well)
    assert [gap.blind_since, well.blind_since, later.blind_since] == [NOW, None, NOW + 60]
    assert later.decision is Decision.UNKNOWN


def test_zero_traffic_is_rolled_back_at_the_deadline():
    last = BEGUN + PLAN.deadline_seconds
    nobody = {"on": (0, 0, 0), "off": (0, 0, 0)}
    assert decision(look(**nobody, at=last - 1), now=last - 1) is Decision.UNKNOWN
    assert decision(look(**nobody, at=last), now=last) is Decision.ROLL_BACK


def test_what_is_not_proved_is_rolled_back_at_the_deadline_and_what_is_goes_on_even_then():
    last = BEGUN + PLAN.deadline_seconds
    assert decision(look(on=(1500, 24, 75), at=last), now=last) is Decision.ROLL_BACK
    assert decision(look(at=last), now=last) is Decision.GO


# The split.


def test_users_who_split_otherwise_than_planned_hold_whatever_is_proved():
    found = judge(look(on=(3000, 15, 75)), PLAN, NOW)
    assert found.decision is Decision.HOLD
    assert found.reasons[0].startswith(
        "users do not split as planned: 3,000 of 31,500 (9.5%) are exposed, 5% should be"
    )
    last = BEGUN + PLAN.deadline_seconds
    assert decision(look(on=(3000, 15, 75), at=last), now=last) is Decision.ROLL_BACK


# Where all are exposed.


def everybody(error, *, off=0, at=NOW, **more):
    return look(on=(30_000, error, 1500), off=(off, 0, 0), exposure=100, at=at, **more)


def test_where_all_are_exposed_only_harm_against_the_slo_and_guards_decide():
    assert decision(everybody(300)) is Decision.GO
    assert decision(everybody(600)) is Decision.ROLL_BACK
    assert decision(everybody(300, guards={"health": 0.5})) is Decision.HOLD
    assert decision(everybody(300).model_copy(update={"off": ArmCounts()})) is Decision.GO


def test_where_all_are_exposed_some_who_are_not_hold():
    assert decision(everybody(300, off=3)) is Decision.GO
    assert decision(everybody(300, off=600)) is Decision.HOLD


def test_the_bake_lasts_as_long_as_planned():
    assert decision(everybody(300, baking=True)) is Decision.HOLD
    ended = BEGUN + PLAN.bake_seconds
    assert decision(everybody(300, baking=True, at=ended), now=ended) is Decision.GO


# Too little traffic.

QUIET = {"on": (3, 0, 0), "off": (57, 0, 3)}


def test_too_little_traffic_says_how_many_users_are_missing():
    found = judge(look(**QUIET), PLAN, NOW)
    assert found.decision is Decision.HOLD
    assert found.too_little
    assert found.users_missing == 296
    assert any("too little traffic to prove anything" in reason and "about 296" in reason for reason in found.reasons)


def test_a_persons_word_lets_a_step_go_on_where_too_few_users_come_and_is_kept_with_it():
    found = judge(look(**QUIET, override=WORD), PLAN, NOW)
    assert found.decision is Decision.GO
    assert found.overridden == WORD
    assert found.reasons[0] == "ann lets it go on unproved: nobody comes at night"


def test_a_word_for_another_step_does_not_count():
    assert decision(look(**QUIET, override=WORD.model_copy(update={"step": 2}))) is Decision.HOLD


@pytest.mark.parametrize(
    "reading",
    [
        look(on=WORSE, override=WORD),
        look(on=(1500, 24, 75), override=WORD),
        look(on=(3000, 15, 75), override=WORD),
        look(**QUIET, override=WORD, guards={"health": 0.9}),
        look(**QUIET, override=WORD, guards={"health": None}),
        look(**QUIET, override=WORD, begun_at=NOW - 10, at=NOW),
        look(on=(3, 2, 0), off=(57, 0, 3), override=WORD),
        look(**QUIET, override=WORD).model_copy(update={"off": ArmCounts()}),
    ],
    ids=["harm", "enough traffic", "split", "guard", "guard unreadable", "too soon", "leaning to harm", "missing"],
)
def test_no_word_stands_in_for_anything_but_traffic(reading):
    assert decision(reading) is not Decision.GO


def test_nobody_without_a_name_or_a_reason_overrides():
    for field in ("who", "why"):
        with pytest.raises(ValueError, match=field):
            Override(**{"step": 1, "who": "ann", "why": "because", "at": NOW} | {field: "  "})


RARE = ERRORS.model_copy(update={"slo_when_rare": True})


def test_errors_too_rare_to_compare_wait_for_a_person_unless_the_plan_takes_the_slo_for_enough():
    rare = {"on": (1500, 0), "off": (28_500, 2)}
    assert decision(look(**rare), ERRORS_ONLY) is Decision.HOLD
    found = judge(look(**rare), Plan(metrics=(RARE,)), NOW)
    assert found.decision is Decision.GO
    assert found.weighed[0].basis is Basis.RARE
    assert decision(look(on=(1500, 2), off=(28_500, 0)), Plan(metrics=(RARE,))) is Decision.HOLD


# Rules that hold for any reading.

counts = st.integers(0, 3000)


@st.composite
def readings(draw):
    def one():
        users = draw(counts)
        # Mostly few, as it is: where half of all err, nothing but harm is ever found.
        some = st.one_of(st.integers(0, users // 50), st.integers(0, users))
        return users, draw(some), draw(some)

    exposure = draw(st.sampled_from([5, 25, 50, 100]))
    begun = NOW - draw(st.sampled_from([10, 300, 3700]))
    return look(on=one(), off=one(), exposure=exposure, begun_at=begun)


@given(readings(), st.integers(1, 50))
def test_more_errors_among_the_exposed_never_move_away_from_a_rollback(reading, more):
    users, errors = reading.on.users.value, reading.on.of("error").value
    worse = reading.model_copy(update={"on": arm(users, min(users, errors + more), reading.on.of("slow").value)})
    assert RANK.index(decision(worse)) <= RANK.index(decision(reading))


@given(readings(), st.sampled_from(FIGURES), st.sampled_from(sorted(TROUBLES)), st.booleans())
def test_nothing_that_cannot_be_read_ever_goes_on(reading, figure, trouble, word):
    arm_name, what = figure
    if reading.exposure == 100:
        arm_name = "on"
    counts = getattr(reading, arm_name)
    bad = TROUBLES[trouble]
    changed = {"users": bad} if what == "users" else {"hits": {**counts.hits, what: bad}}
    broken = reading.model_copy(
        update={arm_name: counts.model_copy(update=changed), "override": WORD if word else None}
    )
    if trouble == "from before the step":
        broken = broken.model_copy(update={"begun_at": BEGUN})
    assert decision(broken) is not Decision.GO


@given(readings())
def test_a_judgement_survives_the_database(reading):
    found = judge(reading, PLAN, NOW)
    kept = json.loads(json.dumps(found.model_dump(mode="json"), allow_nan=False))
    assert Judgement.model_validate(kept) == found
    assert judge(reading, PLAN, NOW + 1, found) == judge(reading, PLAN, NOW + 1, Judgement.model_validate(kept))


def test_estimates_shrink_to_what_then_happens():
    """Users who come evenly: what was said at 100 s is when it is proved, give or take a look."""

    def at(now):
        seconds = int(now - BEGUN)
        return look(
            on=(5 * seconds, seconds // 20, seconds // 4),
            off=(95 * seconds, 19 * (seconds // 20), 19 * seconds // 4),
            at=now,
        )

    said = judge(at(BEGUN + 100), PLAN, BEGUN + 100)
    went = next(
        now for now in range(int(BEGUN) + 100, int(BEGUN) + 1000, 5) if decision(at(now), now=now) is Decision.GO
    )
    assert went == pytest.approx(BEGUN + 100 + said.seconds_to_go, abs=25)
