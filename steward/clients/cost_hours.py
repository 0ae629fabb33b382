"""The ledger's sealed hours of a day, fetched from the object store and opened as what the ledger has of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import LiteralString, NamedTuple

from steward.clients.costs_ledger import SealedDay
from steward.clients.postgres import Connection, connect
from steward.clients.s3 import LockedBucket, open_evidence_bucket
from steward.clients.scratch import scratch_folder
from steward.costs.cells import DEFAULT_TIERS
from steward.errors import StewardError
from steward.settings import Settings

_HOUR = dt.timedelta(hours=1)


class HourNotSealed(StewardError):
    """The ledger of the day is not whole yet: what it has would be too little."""


class HourAltered(StewardError):
    """A sealed hour is not what was sealed."""


class _Sealed(NamedTuple):
    hour: dt.datetime
    object_key: str
    version_id: str
    sha256: str


def ledger_begins(connection: Connection) -> dt.date | None:
    """The UTC day of its first sealed hour; None: there is none."""
    row = connection.execute(_FIRST).fetchone()
    return row[0].astimezone(dt.UTC).date() if row and row[0] else None


@contextmanager
def open_sealed_day(
    settings: Settings,
    account: str,
    day: dt.date,
    keys: Mapping[str, tuple[str, str]],
    long_context: Mapping[str, int],
) -> Generator[tuple[SealedDay, tuple[str, ...]]]:
    """The ledger's day of *account*, with the hour before and after it; and the SHA-256 of each of its hours.

    *keys*: by credential version, the provider's id of the key and of its project. *long_context*: by model, above how many
    tokens a prompt is billed at the rate of long ones. Raises HourNotSealed, HourAltered, ObjectMissing.
    """
    begin = dt.datetime.combine(day, dt.time(), dt.UTC)
    with connect(settings) as db:
        hours = _hours(db, [begin + n * _HOUR for n in range(-1, 25)])
    with (
        open_evidence_bucket(settings) as objects,
        scratch_folder("costs") as folder,
    ):
        files = [_fetched(objects, hour, folder) for hour in hours]
        tier = DEFAULT_TIERS[settings.providers[account].kind]
        ledger = SealedDay(files, account, day, keys, long_context, default_tier=tier)
        try:
            yield ledger, tuple(hour.sha256 for hour in hours)
        finally:
            ledger.close()


def _hours(connection: Connection, wanted: list[dt.datetime]) -> list[_Sealed]:
    row = connection.execute(_FIRST).fetchone()
    first = row[0] if row else None
    if first is None or first > wanted[-2]:
        raise HourNotSealed(
            f"the ledger has no sealed hour of {wanted[1]:%Y-%m-%d}: it begins {first or 'with none'}",
            hint="before the ledger there is nothing to compare a bill with",
        )
    rows = connection.execute(_HOURS, {"since": wanted[0], "until": wanted[-1]}).fetchall()
    found = {each.hour: each for each in map(_Sealed._make, rows)}
    # Before its first hour the ledger has nothing, and that is all of it.
    missing = [hour for hour in wanted if hour not in found and hour >= first]
    if missing:
        raise HourNotSealed(
            f"{len(missing)} hours of the ledger are not sealed, the first of them {missing[0]:%Y-%m-%d %H:%M} UTC",
            hint="see why seal-ai-attempts stopped there (docs/runbooks/seal-ai-attempts.md), then ask for the day again",
        )
    return [found[hour] for hour in wanted if hour in found]


def _fetched(objects: LockedBucket, sealed: _Sealed, folder: Path) -> Path:
    body = objects.get(sealed.object_key, sealed.version_id).body
    if sha256(body).hexdigest() != sealed.sha256:
        raise HourAltered(
            f"{sealed.object_key} is not the hour that was sealed: its SHA-256 is another",
            hint="compare the object's versions with the hour's manifest; nothing is made of it",
        )
    file = folder / f"{sealed.hour:%Y%m%dT%H}.parquet"
    file.write_bytes(body)
    return file


_FIRST: LiteralString = "SELECT min(hour) FROM steward.ai_hours WHERE sealed_at IS NOT NULL"
_HOURS: LiteralString = """
SELECT hour, object_key, version_id, sha256 FROM steward.ai_hours
 WHERE sealed_at IS NOT NULL AND hour BETWEEN %(since)s AND %(until)s ORDER BY hour
"""
