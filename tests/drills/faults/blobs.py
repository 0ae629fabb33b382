"""What a night says of a repository's blobs: the decision of its step, over a record in memory."""

import copy
from datetime import date, timedelta

from steward.clients.blobs_fs import FolderBlobs
from steward.snapshots.blob_check import check_night_blobs
from steward.snapshots.blob_record import Tonight
from steward.snapshots.blob_report import BlobsChecked
from tests.unit.blob_ground import Book

NIGHT = date(2026, 5, 2)


def book() -> Book:
    """A record without nights."""
    return Book(night=NIGHT - timedelta(days=1))


def keep(ground, name: str, uuid: str) -> None:
    """As a night leaves it that was VERIFIED."""
    checked = _checked(ground, ground.live, ground.book, name, uuid)
    assert checked.verdict == "VERIFIED", checked.findings
    ground.book.verify()


def check(case) -> BlobsChecked:
    """Of the case's repository, by a copy of the record: nothing is left of it for the next."""
    case.book = copy.deepcopy(case.ground.book)
    taken = case.night.taken
    return _checked(case.ground, case.folder, case.book, taken.name, taken.uuid)


def _checked(ground, folder, book, name, uuid):
    # Each blob is due each night: when it is is the plan's affair (tests/unit), and what is found when it is, this one's.
    tonight = Tonight(ground.name, name, uuid, book.night, retention_days=30, blob_check_days=1)
    return check_night_blobs(FolderBlobs(folder), ground.source, book, tonight)
