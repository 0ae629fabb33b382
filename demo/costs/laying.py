"""A month that is over, laid down on both sides: billed by the providers' twins, and sealed in the gateway's ledger.

The ledger's side is what `seal-ai-attempts` would have left: parquet under Object Lock, manifests that name each other, rows in
`steward.ai_hours` by the functions that sealing uses. Its attempts were never rows of the database, which gives each the
present time. Everything may be repeated: what lies there is taken as it is.
"""

from __future__ import annotations

import datetime as dt
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from demo.costs.incidents import ACCOUNTS, INCIDENTS, OPENAI, Incident
from demo.costs.sides import Sides, Span, hours_between
from demo.costs.twins import TwinsAdministration, billed_keys
from steward.ai.sealing import (
    HOUR,
    ClosedHour,
    Figures,
    StoredHour,
    Survey,
    hour_of,
    manifest_of,
    plan_hours,
    sha256_of,
)
from steward.clients.attempts_hours import close_hour, keep_sealed, sealed_hour, survey
from steward.clients.attempts_keys import installation
from steward.clients.cost_book import enter_keys
from steward.clients.postgres import Connection, connect
from steward.clients.s3 import open_evidence_bucket
from steward.clients.secrets import read_secret
from steward.errors import BadInput, StewardError
from steward.settings import Settings

SEED = 3
TENANTS = ("acme", "globex", "initech", "umbrella", "hooli")
#: Objects that are on their way to the store at once.
_AT_ONCE = 16
#: Of rows in `steward.ai_hours` that no operation entered.
_NO_OPERATION = 0
_PARQUET = "application/vnd.apache.parquet"


class LedgerBeginsLater(BadInput):
    """The ledger has hours already, none of which is the month's: nothing can come before them."""


class HourNotLaid(StewardError):
    """The database did not take an hour."""


@dataclass(frozen=True)
class Laid:
    """What lies there now."""

    span: Span
    attempts: int
    hours: int
    """Sealed just now; 0: it was all there."""
    keys: frozenset[str]
    """Of the gateway, by their ids at the providers."""


def lay_month(
    settings: Settings,
    twins: TwinsAdministration,
    span: Span,
    attempts: int,
    *,
    seed: int = SEED,
    incidents: Sequence[Incident] = INCIDENTS,
    tenants: Sequence[str] = TENANTS,
    last_hour: dt.datetime | None = None,
) -> Laid:
    """Both sides of *attempts* in *span*, on a migrated platform whose ledger begins with it.

    The ledger's hours go on, without an attempt, to *last_hour*, which is at least the one after the span; None: to the last one
    that is over, where sealing goes on. Raises LedgerBeginsLater where it begins within the span or after it.
    """
    sides = Sides(span, attempts, seed, incidents, tenants)
    try:
        with connect(settings) as db:
            enter_keys(db, sides.gateway_keys())
            hours = _lacking(db, survey(db), span, last_hour)
        with tempfile.TemporaryDirectory(prefix="steward-demo-") as folder:
            if not _is_billed(settings, sides):
                sides.write_usage(Path(folder))
                twins.take_in(Path(folder))
            if hours:
                _seal(settings, sides, hours, Path(folder))
        return Laid(span, attempts, len(hours), frozenset(key.key_id for key in sides.gateway_keys()))
    finally:
        sides.close()


def _lacking(db: Connection, seen: Survey, span: Span, last_hour: dt.datetime | None) -> list[dt.datetime]:
    """From the hour before the span, or from where an earlier try stopped."""
    first, last = span.begin - HOUR, last_hour or _last_quiet(seen)
    if seen.last_sealed is None:
        if seen.oldest and hour_of(seen.oldest) <= span.end:
            raise _begins_later(seen.oldest, span)
        return hours_between(first, last)
    if sealed_hour(db, first) is None:
        raise _begins_later(seen.last_sealed, span)
    return hours_between(seen.last_sealed.astimezone(dt.UTC) + HOUR, last) if seen.last_sealed < span.end else []


def _last_quiet(seen: Survey) -> dt.datetime:
    """The last hour that is over and settled, and has no attempt."""
    (over,) = plan_hours(Survey(now=seen.now))
    return min(over, hour_of(seen.oldest) - HOUR) if seen.oldest else over


def _begins_later(moment: dt.datetime, span: Span) -> LedgerBeginsLater:
    return LedgerBeginsLater(
        f"the ledger of this platform has hours or attempts of {moment:%Y-%m-%d %H:%M}, and none before {span.first}",
        hint="play on a platform that is new: make clean, then again",
    )


def _is_billed(settings: Settings, sides: Sides) -> bool:
    """By what OpenAI tells of the span: the twins take a month in as a whole."""
    account = settings.providers[ACCOUNTS[OPENAI]]
    key = read_secret(account.admin_key or account.key, settings.vault)
    billed = billed_keys(account.url, key, sides.span.begin, sides.span.end)
    return any(key.key_id in billed for key in sides.gateway_keys())


def _seal(settings: Settings, sides: Sides, hours: Sequence[dt.datetime], folder: Path) -> None:
    figures, until = sides.figures(), dt.datetime.now(dt.UTC) + dt.timedelta(days=settings.evidence.lock_days)
    with connect(settings) as db:
        ledger = installation(db)
        before = sealed_hour(db, hours[0] - HOUR)

    def store(hour: dt.datetime, body: bytes) -> StoredHour:
        states = figures.get(hour, {})
        closed = ClosedHour(hour=hour, ledger=UUID(ledger), edition=1, rows=_rows(states), states=states)
        there = bucket.put_once(closed.object_key, body, locked_until=until, content_type=_PARQUET)
        return StoredHour(
            closed=closed, version_id=there.version_id, sha256=sha256_of(there.body), bytes=len(there.body)
        )

    def tell(stored: StoredHour, manifest: bytes) -> None:
        bucket.put_once(stored.closed.manifest_key, manifest, locked_until=until)

    with open_evidence_bucket(settings) as bucket, ThreadPoolExecutor(_AT_ONCE) as pool:
        stored = list(pool.map(store, *zip(*sides.write_hours(hours, folder), strict=True)))
        manifests = list(_chained(stored, before.manifest_sha256 if before else None))
        list(pool.map(tell, stored, manifests))
    with connect(settings) as db:
        for each, manifest in zip(stored, manifests, strict=True):
            _enter(db, each, sha256_of(manifest))


def _rows(states: dict[str, Figures]) -> int:
    return sum(each.rows for each in states.values())


def _chained(stored: Iterable[StoredHour], previous: str | None) -> Iterator[bytes]:
    """The manifest of each, which names the one before."""
    for each in stored:
        manifest = manifest_of(each, previous)
        yield manifest
        previous = sha256_of(manifest)


def _enter(db: Connection, stored: StoredHour, manifest_sha256: str) -> None:
    hour = stored.closed.hour
    waiting = close_hour(db, hour)
    if waiting or not keep_sealed(db, stored, manifest_sha256, _NO_OPERATION):
        raise HourNotLaid(
            f"{hour:%Y-%m-%d %H:%M} UTC: {waiting.reason if waiting else 'it is sealed otherwise'}",
            hint="if another run lays the same month, try again in a minute; if sealing began meanwhile: make clean, then again",
        )
