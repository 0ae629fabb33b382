"""Which blobs of older nights are read again tonight: each in time, and about as many bytes every night.

A disk, and whoever has access to it, changes a blob without changing its size. That shows only when it is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class Known:
    """What a blob was in a VERIFIED snapshot, and when it was last read and found to be that still."""

    path: str
    bytes: int
    sha256: str
    read_night: date
    first_night: date
    last_night: date | None = None
    """Of the last VERIFIED snapshot that has it; None: the newest has it."""

    def age(self, tonight: date) -> int:
        """Nights since it was read."""
        return (tonight - self.read_night).days


def plan_reading(known: Iterable[Known], tonight: date, days: int) -> list[Known]:
    """What of *known* is read tonight, oldest first, so that no blob is ever left unread for more than *days*.

    As many bytes as have to be read every night from now on until the deadline that presses most; so a repository that
    was read all in one night is spread over the nights, and no night has to read much more than its share. A deadline is
    a night early, because a night may begin late, or be missed. What was read tonight already counts.
    """
    queue = sorted(known, key=lambda blob: (blob.read_night, blob.path))
    waiting = [blob for blob in queue if blob.age(tonight) > 0]
    done = sum(blob.bytes for blob in queue) - sum(blob.bytes for blob in waiting)
    enough = _tonights_share(waiting, done, tonight, days)
    planned = list[Known]()
    for blob in waiting:
        if done >= enough and _nights_left(blob, tonight, days) > 1:
            break
        planned.append(blob)
        done += blob.bytes
    return planned


def _tonights_share(waiting: Iterable[Known], done: int, tonight: date, days: int) -> float:
    """Bytes: with as many every night, all of *waiting* is read in time, oldest first."""
    share, before = 0.0, done
    for blob in waiting:
        before += blob.bytes
        share = max(share, before / _nights_left(blob, tonight, days))
    return share


def _nights_left(blob: Known, tonight: date, days: int) -> int:
    """Nights in which it can be read in time, tonight among them."""
    return max(1, days - blob.age(tonight))
