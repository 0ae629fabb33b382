"""No blob is read twice that need not be, whatever interrupts the check; what cannot be read is not said to be wrong."""

from datetime import timedelta

import pytest

from steward.repository.comparing import is_immutable
from steward.repository.errors import BlobRefused, BlobsAway
from steward.snapshots import blob_reading
from steward.verdicts import Verdict
from tests.unit.blob_check_ground import BOOK, ONE, TWOS, A, book, data, facts
from tests.unit.blob_ground import NIGHT, SAMPLE, Book, check
from tests.unit.repository.sample import Memory, paths, rewritten


class Counted(Memory):
    """Notes what is read whole."""

    def __init__(self, blobs=SAMPLE, stop_after=10**9) -> None:
        super().__init__(blobs)
        self.streamed, self.stop_after = [], stop_after

    def chunks(self, path):
        if len(self.streamed) >= self.stop_after:
            raise ConnectionError("killed")
        self.streamed.append(path)
        return super().chunks(path)


class Failing(Memory):
    """Blobs that are not handed out."""

    def __init__(self, bad, error) -> None:
        super().__init__(SAMPLE)
        self.bad, self.error = bad, error

    def chunks(self, path):
        if path in self.bad:
            raise self.error(path)
        return super().chunks(path)


def test_the_next_night_reads_what_is_new_and_its_share_of_the_rest():
    blobs, record = Counted(), book()
    check(blobs, record)
    new = {path for path in TWOS - BOOK.blobs.keys() if path.rpartition("/")[2].startswith("__")}
    again = set(blobs.streamed) - new
    assert new <= set(blobs.streamed)
    # A thirtieth, and no more blobs than it takes to reach it.
    assert len(again) <= 2


def test_every_blob_is_read_again_in_time_that_of_older_snapshots_too():
    record = book()
    check(Memory(SAMPLE), record)
    record.verify()
    was, read = set(BOOK.blobs), set()
    for days in range(1, 31):
        blobs = Counted()
        report = check(blobs, record, night=NIGHT + timedelta(days=days))
        read |= set(blobs.streamed)
        assert report.oldest_read_nights <= 30
        record.night += timedelta(days=1)
    assert {path for path in was if path.rpartition("/")[2].startswith("__") or ONE in path} <= read


@pytest.mark.parametrize(
    "error",
    [lambda path: BlobRefused(path, "it is a link", hint=""), lambda path: BlobsAway(f"{path}: input error", hint="")],
)
def test_a_blob_that_cannot_be_read_is_unknown_and_all_others_are_read(error):
    path = data(known=False)[0]
    record = book()
    report = check(Failing([path], error), record)
    (finding,) = report.findings
    assert (finding.verdict, report.manifest) == (Verdict.UNKNOWN, None)
    assert path in finding.subject
    assert {each for each in TWOS - {path} if is_immutable(each)} <= record.blobs.keys() | record.notes.keys()


def test_a_place_that_does_not_answer_for_many_is_away_which_a_later_try_may_cure(monkeypatch):
    monkeypatch.setattr(blob_reading, "MOST_AWAY", 3)
    away = Failing(paths(SAMPLE, begins="__"), lambda path: BlobsAway(f"{path}: away", hint=""))
    with pytest.raises(BlobsAway, match="away"):
        check(away, Book())


def test_a_killed_step_goes_on_where_it_was():
    record, killed, again = Book(), Counted(stop_after=9), Counted()
    with pytest.raises(ConnectionError):
        check(killed, record)
    noted = set(record.notes)
    report = check(again, record)
    assert report.verdict is Verdict.VERIFIED
    done = {path for path in noted if path.rpartition("/")[2].startswith("__")}
    assert done
    assert not done & set(again.streamed)


def test_what_changed_since_an_interrupted_try_read_it_is_told():
    record = Book()
    with pytest.raises(ConnectionError):
        check(Counted(stop_after=0), record)
    path = next(path for path in paths(SAMPLE, begins="meta-", holds=A))

    def other(document):
        (index,) = document.values()
        index["settings"]["index.refresh_interval"] = "99s"

    assert "when it was read last it was" in facts(check(rewritten(SAMPLE, path, other), record))[0]


def test_points_in_time_are_touched_all_the_while():
    touched = []
    check(touch=lambda: touched.append(1))
    assert len(touched) > len(paths(SAMPLE, begins="__", holds=A)) / 3
