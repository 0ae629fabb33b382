"""Where all are exposed there are no others to compare with: the SLO and the guards decide, on who had the time."""

from steward.rollout.judge import Decision, Judgement, judge
from steward.rollout.plan import Plan
from steward.rollout.readings import ArmCounts
from tests.unit.rollout.looks import BEGUN, DONE, ERRORS_ONLY, NOW, PLAN, decision, look


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
