"""The ledger of attempts as a gateway's worker writes it: before an attempt is sent, and once it is over.

One object a process and event loop. Concurrent writes share a commit, so a busy worker pays one for many. What is written
is on disk when the call returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, LiteralString, Self
from uuid import UUID, uuid4

import psycopg
from psycopg import errors as pg

from steward.ai.attempts import UNSENT, Attempt, Outcome, State
from steward.ai.errors import AttemptEnteredOtherwise, AttemptMissing, AttemptOver, AttemptUnusable, HourClosed
from steward.clients import attempts_sql as sql
from steward.clients.attempts_connections import open_for_attempts
from steward.clients.attempts_lane import Lane, Opened
from steward.clients.attempts_workers import Lease, TellCredentials
from steward.clients.postgres import DatabaseUnavailable, worded
from steward.errors import StewardError
from steward.settings import Settings

#: Before it is sent, a caller waits: with no ledger nothing is sent.
BEFORE_SECONDS = 5.0
#: Once it is over nobody waits but the worker, and what it knows is known nowhere else: as long as a database restarts.
AFTER_SECONDS = 120.0


@dataclass(frozen=True)
class Patience:
    """How long a database that is away is waited for, in seconds."""

    before: float = BEFORE_SECONDS
    after: float = AFTER_SECONDS


@dataclass(frozen=True, slots=True)
class Entry:
    """An attempt on its way into the ledger."""

    row: Mapping[str, Any]
    written: asyncio.Future[bool]

    @property
    def attempt_id(self) -> UUID:
        return UUID(self.row["id"])


class AttemptLedger:
    """`async with AttemptLedger(settings, "gateway-1") as ledger`: the worker is known to live while the block runs.

    Writes raise DatabaseUnavailable where the database stayed away for as long as they may wait: before sending, nothing
    may be sent then; afterwards, the sweeper will make the attempt `unknown`.
    """

    def __init__(
        self,
        settings: Settings,
        worker: str,
        patience: Patience | None = None,
        credentials: TellCredentials | None = None,
    ) -> None:
        self._settings, self._patience = settings, patience or Patience()
        #: This process, in this life of it.
        self.worker: UUID = uuid4()
        self._lease = Lease(settings, self.worker, worker, credentials)
        self._before: Lane | None = None
        self._after: Lane | None = None
        self._withdrawing: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._lease.begin()
        # Apart, so that a burst of endings does not keep those waiting who are about to send.
        self._before = Lane(self._settings, self._open)
        self._after = Lane(self._settings, self._open)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*self._withdrawing)
        lanes, self._before, self._after = (self._before, self._after), None, None
        for lane in filter(None, lanes):
            await lane.close()
        await self._lease.end()

    async def reserve(self, attempt: Attempt) -> None:
        """Enter it, not to be sent before `sent` returned. Twice is harmless; AttemptEnteredOtherwise."""
        await self.entered(self._begin(attempt, State.RESERVED))

    async def send(self, attempt: Attempt) -> None:
        """`reserve` and `sent` in one commit, for a caller that holds its ticket already: it may be sent at once.

        A caller that is cancelled meanwhile, or told that the database is away, must not send: what may have been entered
        is aborted.
        """
        await self.entered(self.begin_send(attempt))

    def begin_send(self, attempt: Attempt) -> Entry:
        """`send`, for a caller that has something else to wait for: `entered` ends it, or else `withdraw`."""
        return self._begin(attempt, State.SENT)

    async def entered(self, entry: Entry) -> None:
        """It is on disk when this returns. What comes to nothing is withdrawn before this raises."""
        try:
            await self._done(entry.written, entry.row)
        except (asyncio.CancelledError, DatabaseUnavailable):
            # It may be entered all the same, and now it is never sent: left as it is, it would count as unknown.
            withdrawing = asyncio.create_task(self.withdraw(entry, "withdrawn"))
            self._withdrawing.add(withdrawing)
            withdrawing.add_done_callback(self._withdrawing.discard)
            raise

    async def withdraw(self, entry: Entry, error_class: str) -> None:
        """It will not be sent."""
        with suppress(StewardError, psycopg.Error):
            await entry.written
        # AttemptMissing: it is not there, as it ought to be.
        with suppress(StewardError, psycopg.Error):
            await self.abort(entry.attempt_id, error_class)

    async def sent(self, attempt_id: UUID) -> None:
        """Its first byte leaves now. AttemptOver: it must not, since the sweeper took its worker for dead."""
        row = {"id": str(attempt_id), "state": State.SENT}
        await self._write(self._lane(self._before), sql.MOVE, row, self._patience.before)

    async def settle(self, attempt_id: UUID, outcome: Outcome) -> None:
        """What it used is known, in one commit; the same again changes nothing. HourClosed where it comes too late."""
        await self._end(attempt_id, State.SETTLED, outcome)

    async def abort(self, attempt_id: UUID, error_class: str | None = None) -> None:
        """No byte of it reached the provider."""
        await self._end(attempt_id, State.ABORTED, replace(UNSENT, error_class=error_class))

    async def unknown(self, attempt_id: UUID, outcome: Outcome) -> None:
        """It was sent, and nobody knows what came of it."""
        await self._end(attempt_id, State.UNKNOWN, outcome)

    def _begin(self, attempt: Attempt, state: State) -> Entry:
        row = attempt.row() | {"worker": str(self.worker), "state": state}
        return Entry(row, self._lane(self._before).put(sql.ENTER, row, self._patience.before))

    async def _end(self, attempt_id: UUID, state: State, outcome: Outcome) -> None:
        row = outcome.row(state) | {"id": str(attempt_id), "state": state}
        lane = self._lane(self._after)
        try:
            await self._write(lane, sql.MOVE, row, self._patience.after)
        except _RequestIdTaken:
            # Two attempts under one of the provider's ids: whoever compares bills has to see it, and both figures.
            row |= {"provider_request_id": None, "repeated_request_id": row["provider_request_id"]}
            await self._write(lane, sql.MOVE, row, self._patience.after)

    async def _write(self, lane: Lane, statement: LiteralString, row: dict[str, Any], patience: float) -> None:
        await self._done(lane.put(statement, row, patience), row)

    async def _done(self, written: asyncio.Future[bool], row: Mapping[str, Any]) -> None:
        try:
            # Whoever is cancelled meanwhile takes nothing back: the row may be on its way.
            touched = await asyncio.shield(written)
        except psycopg.Error as error:
            raise _in_words(error) from None
        if not touched:
            _compare(row, await self._read(row["id"]))

    async def _read(self, attempt_id: str) -> dict[str, Any] | None:
        connection = await self._open()
        async with connection:
            with worded(self._settings):
                found = await (await connection.execute(sql.READ, {"ids": [UUID(attempt_id)]})).fetchall()
        return found[0]["row"] if found else None

    async def _open(self) -> Opened:
        return await open_for_attempts(self._settings)

    def _lane(self, lane: Lane | None) -> Lane:
        if lane is None:
            msg = "the ledger is not open: `async with AttemptLedger(...)`"
            raise RuntimeError(msg)
        return lane


class _RequestIdTaken(StewardError):
    """The provider gave this id to another attempt of ours."""


def _compare(row: Mapping[str, Any], found: Mapping[str, Any] | None) -> None:
    """The statement did not touch it: because its answer was lost and this is a repeat, or because it may not."""
    if found is None:
        raise AttemptMissing(f"the ledger has no attempt {row['id']}", hint="enter it before anything else")
    differing = sorted(name for name, value in row.items() if found[name] != value)
    if not differing:
        return
    if "state" in differing:
        raise AttemptOver(
            f"attempt {row['id']} is {found['state']}, and does not become {row['state']}",
            hint="not to be sent: another attempt may be made"
            if row["state"] == State.SENT
            else "what is settled stands",
        )
    raise AttemptEnteredOtherwise(
        f"attempt {row['id']} stands there otherwise: {', '.join(differing)}",
        hint="an id is used once: steward.ai new_id()",
    )


def _in_words(error: psycopg.Error) -> Exception:
    constraint, told = error.diag.constraint_name, error.diag.message_primary or type(error).__name__
    if constraint == "hour_is_open":
        return HourClosed(told, hint=error.diag.message_hint or "")
    if constraint == "ai_attempts_at_provider":
        return _RequestIdTaken(told)
    if isinstance(error, pg.IntegrityError | pg.DataError):
        # Neither the row nor the server's detail, which quotes it.
        return AttemptUnusable(f"the ledger refuses an attempt: {told}", hint="see docs/ai-ledger.md")
    return error
