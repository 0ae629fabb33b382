"""Whatever is read: more errors never help, nothing unreadable goes on, and the database changes no judgement."""

import json

from hypothesis import given
from hypothesis import strategies as st

from steward.rollout.judge import Decision, Judgement, judge
from tests.unit.rollout.looks import BEGUN, NOW, PLAN, WORD, arm, decision, look
from tests.unit.rollout.troubles import FIGURES, TROUBLES

RANK = [Decision.ROLL_BACK, Decision.UNKNOWN, Decision.HOLD, Decision.GO]
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
