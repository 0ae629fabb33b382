"""Pages of a provider's reports under Object Lock: stored once each, and read back as the bill that they state.

Objects come first, then all rows of a reading in one transaction: killed in between, objects lie there that no reading
names, and the next try meets its own, or puts others beside them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from hashlib import sha256

from steward.clients.attempts_keys import clock
from steward.clients.before_writing import BeforeWrite
from steward.clients.cost_book import keep_reading, reading_named
from steward.clients.postgres import Connection, connect
from steward.clients.provider_costs import PATIENCE, Patience, fetch_pages
from steward.clients.s3 import LockedBucket, open_evidence_bucket
from steward.costs.cells import HOUR
from steward.costs.errors import PageUnusable
from steward.costs.kept import KeptPage, RawPage, Reading, StoredObject, page_key
from steward.costs.reports.reading import bill_of, read_bill
from steward.costs.values import Bill
from steward.errors import BadInput
from steward.settings import Settings

Fence = Callable[[Connection], None]


class DayNotOver(BadInput):
    """The day, or the hour after it, is not over: what a provider states of it is no bill."""


def take_reading(
    settings: Settings,
    account: str,
    day: dt.date,
    reading: str,
    operation_id: int,
    *,
    before_write: BeforeWrite | None = None,
    fence: Fence | None = None,
    bucket: int = HOUR,
    patience: Patience = PATIENCE,
) -> Reading:
    """Read the day's reports and keep every page; or the reading of that name, if an earlier try has taken it already.

    Pages that are no bill (PageUnusable) lie in the bucket, and are no reading: the next try reads anew. *before_write* and
    *fence* are the operation's, asked before each object, and in the transaction of the rows. Raises DayNotOver, what
    `fetch_pages` raises, and what bucket and database raise.
    """
    with connect(settings) as db:
        if taken := reading_named(db, account, day, reading):
            return taken
        read_at = clock(db)
    _require_over(day, read_at)
    pages = list(fetch_pages(settings, account, day, bucket=bucket, patience=patience))
    provider = settings.providers[account].kind
    with open_evidence_bucket(settings, before_write) as objects:
        kept = [_kept(settings, objects, page_key(account, day, reading, page), page) for page in pages]
    # After they are stored: what a provider sends in place of a bill is worth looking at.
    read_bill(account, provider, day, pages, read_at=read_at, bucket=bucket)
    named = {"account": account, "day": day, "reading": reading, "provider": provider}
    with connect(settings) as db:
        if fence:
            fence(db)
        taken = Reading.model_validate({**named, "read_at": read_at, "bucket_seconds": bucket, "pages": kept})
        return keep_reading(db, taken, operation_id)


def store_locked(settings: Settings, objects: LockedBucket, key: str, body: bytes) -> StoredObject:
    """As one object that nobody can delete before its time; one that lies there already is taken if it is the same.

    Raises PageUnusable where it is another, which a name that holds the hash never meets by itself.
    """
    until = dt.datetime.now(dt.UTC) + dt.timedelta(days=settings.evidence.lock_days)
    there, digest = objects.put_once(key, body, locked_until=until), sha256(body).hexdigest()
    _require_same(key, there.body, digest)
    return StoredObject(object_key=key, version_id=there.version_id, sha256=digest)


def load_bill(objects: LockedBucket, reading: Reading) -> Bill:
    """What the kept pages of *reading* state. ObjectMissing; PageUnusable where one is not what was kept."""
    pages = [
        RawPage(page.report, page.number, objects.get(page.object_key, page.version_id).body) for page in reading.pages
    ]
    return bill_of(reading, pages)


def load_result(objects: LockedBucket, result: StoredObject) -> bytes:
    """As it was stored. ObjectMissing, PageUnusable."""
    body = objects.get(result.object_key, result.version_id).body
    _require_same(result.object_key, body, result.sha256)
    return body


def _kept(settings: Settings, objects: LockedBucket, key: str, page: RawPage) -> KeptPage:
    stored = store_locked(settings, objects, key, page.body)
    return KeptPage(report=page.report, number=page.number, bytes=len(page.body), **stored.model_dump())


def _require_same(key: str, body: bytes, digest: str) -> None:
    if sha256(body).hexdigest() != digest:
        raise PageUnusable(
            f"{key} in the bucket for evidence is not what was put there: its SHA-256 is another",
            hint="somebody wrote it first: see the object's versions, and who may write to the bucket",
        )


def _require_over(day: dt.date, now: dt.datetime) -> None:
    over = dt.datetime.combine(day + dt.timedelta(days=1), dt.time(1), dt.UTC)
    if now < over:
        raise DayNotOver(
            f"{day} and the hour after it are over at {over:%Y-%m-%d %H:%M} UTC, and it is {now:%Y-%m-%d %H:%M}",
            hint="take a day that is over",
        )
