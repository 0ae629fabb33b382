"""Every blob is read again in time, and no night reads much more than its share."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from steward.repository.due import Known, plan_reading

FIRST = date(2026, 1, 1)


def blob(path, size=10, read=FIRST):
    return Known(path=str(path), bytes=size, sha256="0" * 64, read_night=read, first_night=read)


def nights(known, days, count, arrivals=lambda _: [], gone=lambda _, known: known):
    """Bytes read in each of *count* nights, and the greatest age that any blob reached."""
    read, oldest = [], 0
    known = {each.path: each for each in known}
    for number in range(1, count + 1):
        tonight = FIRST + timedelta(days=number)
        known = gone(number, known)
        oldest = max([oldest, *(each.age(tonight) for each in known.values())])
        due = plan_reading(known.values(), tonight, days)
        read.append(sum(each.bytes for each in due))
        known |= {each.path: blob(each.path, each.bytes, tonight) for each in due}
        known |= {each.path: blob(each.path, each.bytes, tonight) for each in arrivals(number)}
    return read, oldest


@given(
    days=st.integers(1, 30),
    sizes=st.lists(st.integers(0, 1_000), max_size=60),
    arriving=st.lists(st.lists(st.integers(0, 1_000), max_size=8), min_size=70, max_size=70),
    going=st.integers(2, 9),
)
def test_no_blob_is_ever_left_unread_for_longer_whatever_comes_and_goes(days, sizes, arriving, going):
    def arrivals(number):
        return [blob(f"{number}/{at}", size) for at, size in enumerate(arriving[number - 1])]

    def gone(number, known):
        return {path: each for at, (path, each) in enumerate(known.items()) if (at + number) % (going * 7)}

    _, oldest = nights([blob(at, size) for at, size in enumerate(sizes)], days, 70, arrivals, gone)
    assert oldest <= days


@given(days=st.integers(2, 30), sizes=st.lists(st.integers(1, 1_000), min_size=1, max_size=200))
def test_a_repository_that_was_read_all_at_once_is_spread_over_the_nights(days, sizes):
    read, _ = nights([blob(at, size) for at, size in enumerate(sizes)], days, 3 * days)
    share = sum(sizes) / (days - 1)
    assert max(read) <= 2 * share + max(sizes)


def test_the_oldest_come_first():
    old, older = blob("b", read=FIRST + timedelta(days=1)), blob("c", read=FIRST)
    due = plan_reading([blob("a", read=FIRST + timedelta(days=2)), old, older], FIRST + timedelta(days=3), 30)
    assert due == [older]


def test_what_was_read_tonight_already_counts_and_is_not_read_again():
    tonight = FIRST + timedelta(days=1)
    done = [blob(f"done-{at}", read=tonight) for at in range(5)]
    assert plan_reading([*done, *(blob(at) for at in range(10))], tonight, 5) == []


def test_what_is_overdue_is_read_at_once_however_much_it_is():
    known = [blob(at, 1_000) for at in range(50)]
    assert plan_reading(known, FIRST + timedelta(days=40), 30) == sorted(known, key=lambda each: each.path)


def test_with_one_day_everything_is_read_every_night():
    read, oldest = nights([blob(at) for at in range(4)], 1, 5)
    assert (read, oldest) == ([40] * 5, 1)
