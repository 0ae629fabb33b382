from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from steward.snapshots.expiry import KnownSnapshot, plan_expiry
from steward.verdicts import Verdict

NOW = datetime(2025, 7, 31, 2, tzinfo=UTC)


def snapshot(days_old: int, verdict: Verdict | None = Verdict.VERIFIED, state: str = "SUCCESS", attempt: int = 1):
    taken = NOW - timedelta(days=days_old)
    return KnownSnapshot(
        name=f"nightly-{taken.date()}-{attempt}",
        night=taken.date(),
        taken_at=taken + timedelta(minutes=attempt),
        state=state,
        verdict=verdict,
    )


def test_verified_snapshots_expire_by_age():
    nights = [snapshot(days) for days in (0, 1, 29, 31, 40)]
    plan = plan_expiry(nights, nights[0].name, Verdict.VERIFIED, NOW, 30)
    assert sorted(plan.delete) == sorted([nights[3].name, nights[4].name])


def test_a_night_that_is_not_verified_deletes_nothing():
    nights = [snapshot(0), snapshot(31)]
    for verdict in (Verdict.REFUTED, Verdict.UNKNOWN):
        assert plan_expiry(nights, nights[0].name, verdict, NOW, 30).delete == {}


def test_a_partial_snapshot_never_counts():
    partial = snapshot(0, state="PARTIAL")
    assert plan_expiry([partial, snapshot(31)], partial.name, Verdict.VERIFIED, NOW, 30).delete == {}


def test_an_earlier_attempt_at_the_same_night_is_superseded_and_a_later_one_never():
    first, second, third = (snapshot(0, None, attempt=n) for n in (1, 2, 3))
    plan = plan_expiry([first, second, third], second.name, Verdict.VERIFIED, NOW, 30)
    assert list(plan.delete) == [first.name]


def test_a_refuted_attempt_at_the_same_night_stays_for_whoever_looks_into_it():
    bad, good = snapshot(0, Verdict.REFUTED, attempt=1), snapshot(0, None, attempt=2)
    assert plan_expiry([bad, good], good.name, Verdict.VERIFIED, NOW, 30).delete == {}


def test_an_old_night_made_good_late_does_not_delete_the_newest_verified_one():
    late, newest = snapshot(5), snapshot(1)
    plan = plan_expiry([late, newest, snapshot(50)], late.name, Verdict.VERIFIED, NOW, 1)
    assert newest.name not in plan.delete
    assert late.name not in plan.delete


def test_a_snapshot_that_the_repository_does_not_hold_deletes_nothing():
    assert plan_expiry([snapshot(40)], "nightly-2025-07-31-1", Verdict.VERIFIED, NOW, 30).delete == {}


@given(
    st.lists(
        st.builds(
            snapshot,
            st.integers(0, 60),
            st.sampled_from([*Verdict, None]),
            st.sampled_from(["SUCCESS", "PARTIAL", "FAILED"]),
            st.integers(1, 3),
        ),
        min_size=1,
        unique_by=lambda s: s.name,
    ),
    st.integers(1, 60),
)
def test_the_newest_verified_snapshot_always_survives(nights, retention):
    tonight = nights[0].model_copy(update={"verdict": Verdict.VERIFIED, "state": "SUCCESS"})
    known = [tonight, *nights[1:]]
    deleted = plan_expiry(known, tonight.name, Verdict.VERIFIED, NOW, retention).delete
    newest = max((s for s in known if s.is_verified), key=lambda s: s.taken_at)
    assert newest.name not in deleted
    assert tonight.name not in deleted
    assert date.min < tonight.night
