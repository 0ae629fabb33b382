"""The flags: every change is validated before it is written, made once, and told with who and why; every version can be restored.

Functions over a connection, so that whoever moves a rollout writes its row and the flag's in one transaction. They are in force,
and pushed, when that is committed. Raises of all of them: `steward.clients.flag_errors`, `steward.flags.errors`, and what
`steward.clients.postgres.connect` raises.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString

from psycopg import errors as pg

from steward.clients import flag_sql as sql
from steward.clients.flag_errors import (
    FlagChangedMeanwhile,
    FlagHeld,
    LeaseExpired,
    LeaseFenced,
    NoSuchFlag,
    NoSuchVersion,
)
from steward.clients.postgres import Connection
from steward.errors import BadInput
from steward.flags.model import Flag
from steward.flags.transitions import require_monotonic
from steward.flags.validation import validated

#: A lease that outlives its holder by more than this is none: 60 s is usual, and nobody is left to end it sooner.
LEASE_AT_MOST_SECONDS = 3600
#: As the database has them, whose own refusal would be less clear.
_MOST_BYTES, _MOST_WHO_BYTES, _MOST_WHY_BYTES = 200_000, 200, 2000


@dataclass(frozen=True, slots=True)
class StoredFlag:
    """A flag as it is now. Its `lease_until` is that of the last renewal."""

    flag: Flag
    version: int
    epoch: int
    """Who may change it as a rollout: nobody with a smaller one."""
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class UnreadableFlag:
    """A row that is no flag for this version of Steward: a newer one wrote it, or a hand."""

    key: str
    version: int
    is_killed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class FlagVersion:
    """What a flag was made to be, by whom, and why. Its `lease_until` is as it was then."""

    flag: Flag
    version: int
    who: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Store:
    """All flags at one moment."""

    revision: int
    flags: tuple[StoredFlag, ...]
    unreadable: tuple[UnreadableFlag, ...] = ()


def list_flags(connection: Connection) -> Store:
    """By key. One that cannot be read hides no other."""
    return store_of(connection.execute(sql.STORE).fetchall())


def store_of(rows: list[tuple[Any, ...]]) -> Store:
    """From the rows of `flag_sql.STORE`."""
    revision = rows[0][0]
    flags, unreadable = list[StoredFlag](), list[UnreadableFlag]()
    for _, key, *row in rows:
        if key is None:
            continue
        try:
            flags.append(_stored(*row))
        except BadInput as error:
            unreadable.append(UnreadableFlag(key, row[0], row[1].get("killed") is True, error.message))
    return Store(revision, tuple(flags), tuple(unreadable))


def read_flag(connection: Connection, key: str) -> StoredFlag:
    """Raises NoSuchFlag."""
    row = connection.execute(sql.READ, {"key": key}).fetchone()
    if row is None:
        raise _unknown(key)
    return _stored(*row)


def flag_history(connection: Connection, key: str, limit: int = 200) -> list[FlagVersion]:
    """Newest first, at most *limit*; versions that this Steward cannot read are left out. Raises NoSuchFlag."""
    rows = connection.execute(sql.HISTORY, {"key": key, "limit": limit}).fetchall()
    if not rows:
        raise _unknown(key)
    return [version for row in rows if (version := _version_or_none(row))]


def change_flag(
    connection: Connection, flag: Flag, *, who: str, why: str, expected_version: int, epoch: int | None = None
) -> StoredFlag:
    """Make the flag of this key *flag*, if it is at *expected_version*: 0 makes a new one. Repeated, it changes nothing more.

    With an *epoch* it is a rollout's: refused where a larger one has been seen, and where the lease that it goes by has ended,
    unless it takes everybody out. Raises FlagDocumentRefused, BucketsWouldFlip, FlagChangedMeanwhile, LeaseFenced, LeaseExpired.
    """
    _demand_reason(who, why)
    validated((flag,))
    before = _locked(connection, flag.key)
    if before is None:
        if expected_version:
            raise FlagChangedMeanwhile(flag.key, found=0, expected=expected_version)
        return _write(connection, flag, None, (who, why), epoch or 0)
    if _is_made(connection, before, flag, expected_version, (who, why)):
        return before
    if before.version != expected_version:
        raise FlagChangedMeanwhile(flag.key, found=before.version, expected=expected_version)
    if epoch is not None:
        _demand_holder(connection, before, flag, epoch)
    require_monotonic(before.flag, flag)
    return _write(connection, flag, before, (who, why), max(epoch or 0, before.epoch))


def kill_flag(connection: Connection, key: str, *, who: str, why: str) -> int:
    """Its off variant for everybody, audiences too, whatever its version is; its version then. One that is killed stays as it is.

    Nothing is in the way of it: neither a lease, nor a row that this version of Steward cannot read, nor a reason that is long.
    """
    why = why.replace("\0", "").encode()[:_MOST_WHY_BYTES].decode(errors="ignore")
    _demand_reason(who, why)
    _bound(connection, key, sql.LOCK)
    row = connection.execute(sql.KILL, {"key": key, "who": who, "why": why}).fetchone()
    if row is None:
        raise _unknown(key)
    connection.execute(sql.KILLED, {"key": key, "version": row[0]})
    return int(row[0])


def restore_flag(
    connection: Connection, key: str, version: int, *, who: str, why: str, expected_version: int
) -> StoredFlag:
    """Make it what *version* was, as a new version: its kill and its lease too, so that what was exposed under a lease which
    has ended stays off. Raises NoSuchFlag, NoSuchVersion, and what `change_flag` raises.
    """
    row = connection.execute(sql.VERSION, {"key": key, "version": version}).fetchone()
    if row is None:
        read_flag(connection, key)
        raise NoSuchVersion(f"flag {key} never had a version {version}", hint="see its history")
    flag = Flag.read(row[1])
    return change_flag(connection, flag, who=who, why=why, expected_version=expected_version)


def renew_lease(connection: Connection, key: str, until: int, epoch: int) -> StoredFlag:
    """Let the lease last to *until*, Unix seconds; never for shorter than it does. It makes no version.

    Whoever comes with a larger *epoch* than was seen takes the lease over. Raises NoSuchFlag, LeaseFenced, LeaseExpired.
    """
    before = _locked(connection, key)
    if before is None:
        raise _unknown(key)
    _demand_epoch(before, epoch)
    _demand_live(connection, before)
    _demand_short(connection, until)
    row = connection.execute(sql.RENEW, {"key": key, "until": until, "epoch": epoch}).fetchone()
    return _stored(*_one(row))


def _locked(connection: Connection, key: str) -> StoredFlag | None:
    """Nobody else changes it until this transaction ends."""
    row = _bound(connection, key, sql.LOCK)
    return _stored(*row) if row else None


def _bound(connection: Connection, key: str, statement: LiteralString) -> tuple[Any, ...] | None:
    """Which a process that hangs in it does not put off for long."""
    connection.execute(sql.BOUND)
    try:
        return connection.execute(statement, {"key": key}).fetchone()
    except pg.LockNotAvailable:
        raise FlagHeld(
            f"flag {key} is held by another transaction", hint="ask again: one that hangs is ended within seconds"
        ) from None


def _write(
    connection: Connection, flag: Flag, before: StoredFlag | None, by: tuple[str, str], epoch: int
) -> StoredFlag:
    if flag.lease_until is not None and (before is None or flag.lease_until != before.flag.lease_until):
        _demand_short(connection, flag.lease_until)
    state = json.dumps(flag.state())
    if len(state) > _MOST_BYTES:
        raise BadInput(
            f"flag {flag.key} has {len(state):,} bytes; expected at most {_MOST_BYTES:,}",
            hint="each SDK gets all flags at each change: keep large values elsewhere, and name them here",
        )
    values = {
        "key": flag.key,
        "version": before.version + 1 if before else 1,
        "state": state,
        "until": flag.lease_until,
        "who": by[0],
        "why": by[1],
        "epoch": epoch,
    }
    try:
        connection.execute(sql.ADD_VERSION, values)
    except pg.UniqueViolation:
        # Two that each make it for the first time: no row was there for either to lock.
        raise FlagChangedMeanwhile(flag.key, found=1, expected=0) from None
    row = connection.execute(sql.CHANGE if before else sql.MAKE, values).fetchone()
    return _stored(*_one(row))


def _is_made(
    connection: Connection, before: StoredFlag, flag: Flag, expected_version: int, by: tuple[str, str]
) -> bool:
    """Whether it is so already: there is nothing to change, or an earlier attempt of the same change has made it."""
    if before.flag != flag:
        return False
    if before.version == expected_version:
        return True
    row = connection.execute(sql.VERSION, {"key": flag.key, "version": before.version}).fetchone()
    return before.version == expected_version + 1 and row is not None and (row[2], row[3]) == by


def _demand_holder(connection: Connection, before: StoredFlag, flag: Flag, epoch: int) -> None:
    _demand_epoch(before, epoch)
    is_exposing = bool(flag.split and flag.split.exposure_percent and not flag.killed)
    # A newer holder begins a lease of its own; the same one goes on with the one that it has, or not at all.
    if is_exposing and epoch == before.epoch and before.flag.lease_until is not None:
        _demand_live(connection, before)


def _demand_epoch(before: StoredFlag, epoch: int) -> None:
    if epoch < before.epoch:
        raise LeaseFenced(before.flag.key, epoch=epoch, held=before.epoch)


def _demand_live(connection: Connection, before: StoredFlag) -> None:
    until = before.flag.lease_until
    if until is None or until <= _now(connection):
        raise LeaseExpired(before.flag.key, until)


def _demand_short(connection: Connection, until: int) -> None:
    ahead = until - _now(connection)
    if ahead > LEASE_AT_MOST_SECONDS:
        raise BadInput(
            f"a lease would last {ahead:.0f} s; expected at most {LEASE_AT_MOST_SECONDS}",
            hint="leases are short, and renewed by whoever holds them",
        )


def _demand_reason(who: str, why: str) -> None:
    for name, said, most in (("who", who, _MOST_WHO_BYTES), ("why", why, _MOST_WHY_BYTES)):
        if not said.strip():
            raise BadInput(f"{name} is empty", hint="the history is read by whoever has to undo this at night")
        if len(said.encode()) > most or "\0" in said:
            raise BadInput(f"{name} is longer than {most} bytes, or holds a NUL", hint="say it shorter")


def _now(connection: Connection) -> float:
    """By the database's clock, which all holders share."""
    return float(_one(connection.execute(sql.NOW).fetchone())[0])


def _one(row: tuple[Any, ...] | None) -> tuple[Any, ...]:
    if row is None:
        raise LookupError("PostgreSQL returned no row where there is always one")
    return row


def _stored(version: int, state: Any, lease_until: int | None, epoch: int, updated_at: datetime) -> StoredFlag:
    flag = Flag.read({**state, "lease_until": lease_until})
    return StoredFlag(flag, version, epoch, updated_at)


def _version_or_none(row: tuple[Any, ...]) -> FlagVersion | None:
    version, state, who, why, at = row
    try:
        return FlagVersion(Flag.read(state), version, who, why, at)
    except BadInput:
        return None


def _unknown(key: str) -> NoSuchFlag:
    # As it was asked for, cut: it may be anything.
    return NoSuchFlag(f"there is no flag {key[:100]!r}", hint="see the list of flags")
