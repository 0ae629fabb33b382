"""Hours of the ledger: which are due to be sealed, what they are called, and what their manifest says.

A sealed hour is a parquet file under Object Lock, and a manifest that names the manifest before it: a file that is changed
does not match, and an hour that is missing breaks the chain.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterable
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

PREFIX = "ai-attempts/"
FORMAT = "steward-ai-attempts/1"
#: How long after its end an hour is left open: longer than the longest attempt, so that most end in it.
SETTLING = dt.timedelta(minutes=15)
#: Hours of one run. A run is to end within an hour even where each has a million attempts; what is left is told.
MOST_HOURS = 48
HOUR = dt.timedelta(hours=1)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Survey(_Frozen):
    """What the ledger has of hours, by its database's clock."""

    now: AwareDatetime
    oldest: AwareDatetime | None = None
    """When its first attempt was entered."""
    last_sealed: AwareDatetime | None = None


class Figures(_Frozen):
    """What the attempts of one state come to: how many, and each class of tokens."""

    rows: int
    sums: dict[str, int]


class ClosedHour(_Frozen):
    """An hour to which nothing comes any more, and what it has."""

    hour: AwareDatetime
    ledger: UUID
    edition: int = Field(ge=1)
    rows: int
    states: dict[str, Figures]

    @property
    def object_key(self) -> str:
        return name_of(self.ledger, self.hour, self.edition) + ".parquet"

    @property
    def manifest_key(self) -> str:
        return name_of(self.ledger, self.hour, self.edition) + ".manifest.json"


class WaitingHour(_Frozen):
    """An hour that could not be closed, and why."""

    hour: AwareDatetime
    reason: str


class StoredHour(_Frozen):
    """What lies under the hour's name in the bucket, whoever put it there."""

    closed: ClosedHour
    version_id: str
    sha256: str
    bytes: int


class CheckedHour(_Frozen):
    """What reading it back came to; no finding: it is the hour, row by row."""

    stored: StoredHour
    findings: tuple[str, ...] = ()


class SealedHour(_Frozen):
    """A sealed hour, as the ledger and the evidence name it."""

    hour: AwareDatetime
    rows: int
    object_key: str
    version_id: str
    sha256: str
    bytes: int
    manifest_key: str
    manifest_sha256: str


class Sealed(_Frozen):
    """The hours that were sealed; and why none after them was."""

    hours: tuple[SealedHour, ...] = ()
    findings: tuple[str, ...] = ()


def hour_of(moment: dt.datetime) -> dt.datetime:
    """The hour in which *moment* lies, in UTC: local hours are not all different, nor all whole."""
    return moment.astimezone(dt.UTC).replace(minute=0, second=0, microsecond=0)


def name_of(ledger: UUID, hour: dt.datetime, edition: int = 1) -> str:
    """The object's name without its ending. A later edition is one whose predecessors came back otherwise.

    *ledger* is made with the database (`steward.log`): one that is laid anew does not meet the locked names of another.
    """
    at = hour.astimezone(dt.UTC)
    return f"{PREFIX}{ledger}/{at:%Y/%m/%d/%H}" + (f".e{edition}" if edition > 1 else "")


def plan_hours(survey: Survey) -> list[dt.datetime]:
    """The hours that are over and not sealed, oldest first, without a gap. Quiet ones too: silence is a finding."""
    last_due = hour_of(survey.now - SETTLING) - HOUR
    if survey.last_sealed:
        begin = survey.last_sealed.astimezone(dt.UTC) + HOUR
    else:
        # A chain begins with the first attempt; where there is none yet, with the hour that is just over.
        begin = min(hour_of(survey.oldest), last_due) if survey.oldest else last_due
    return [begin + index * HOUR for index in range(int((last_due - begin) / HOUR) + 1)]


def manifest_of(stored: StoredHour, previous: str | None) -> bytes:
    """The manifest's bytes, the same at every try: no time and no name of whoever wrote it is in them.

    *previous* is the SHA-256 of the manifest of the hour before; None: the chain begins here.
    """
    closed = stored.closed
    told = {
        "format": FORMAT,
        "ledger": str(closed.ledger),
        "hour": f"{closed.hour.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
        "object": closed.object_key,
        "sha256": stored.sha256,
        "bytes": stored.bytes,
        "rows": closed.rows,
        "states": {name: each.model_dump() for name, each in closed.states.items()},
        "previous": previous,
    }
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode()


def sha256_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def sound(checked: Iterable[CheckedHour]) -> list[CheckedHour]:
    """Those before the first with a finding: the chain does not pass by an hour."""
    good = list[CheckedHour]()
    for each in checked:
        if each.findings:
            break
        good.append(each)
    return good
