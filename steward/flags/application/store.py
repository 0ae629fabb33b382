"""The two statements of this library, in Steward's database: `flags.record`, and a look at `flags.totals`. Its user may do no more."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, LiteralString, NamedTuple, Protocol

import psycopg

from steward.flags.application.exposures import Outcome, Step

#: A server that hangs goes on acknowledging what it is sent: so whoever waits for it is cut off here.
_ANSWER_SECONDS = 5.0
_CONNECT_SECONDS = 5


class Total(NamedTuple):
    """Users of all processes together."""

    at: Step
    variant: str
    kind: str
    users: int


class StoreAway(Exception):
    """The outcomes were not written, or nobody knows whether they were; writing them again does no harm.

    Its text never has what the server said, which may quote what was written.
    """


class OutcomesRefused(Exception):
    """The database takes none of these rows, now or ever."""


class Store(Protocol):
    """Where outcomes are kept."""

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """Write them, once whatever is repeated; none of them says that this process lives. Raises StoreAway, OutcomesRefused."""
        ...

    def totals(self, steps: Sequence[Step]) -> list[Total]:
        """Of *steps*, with all that was recorded before. Raises StoreAway."""
        ...

    def close(self) -> None:
        """Whatever is open."""
        ...


class PostgresStore:
    """One connection, opened when it is needed. Not for two threads.

    *url* without a password; *password* is asked for each connection. *instance* names this process among its like.
    """

    def __init__(self, url: str, password: Callable[[], str], instance: str) -> None:
        self._url, self._password, self._instance = url, password, instance
        self._connection: psycopg.Connection[tuple[Any, ...]] | None = None

    def record(self, outcomes: Sequence[Outcome]) -> None:
        """As the protocol says."""
        self._ask(_RECORD, self._instance, _as_json(outcomes))

    def totals(self, steps: Sequence[Step]) -> list[Total]:
        """As the protocol says."""
        columns = [list(column) for column in zip(*steps, strict=True)] or [[], [], []]
        rows = self._ask(_TOTALS, *columns)
        return [
            Total(Step(flag, rollout, step), variant, kind, users) for flag, rollout, step, variant, kind, users in rows
        ]

    def _ask(self, statement: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        try:
            connection = self._opened()
            with _cut_off_after(connection, _ANSWER_SECONDS):
                return connection.execute(statement, parameters).fetchall()
        except (psycopg.DataError, psycopg.IntegrityError) as error:
            raise OutcomesRefused(_kind(error)) from None
        except psycopg.Error as error:
            self.close()
            raise StoreAway(_kind(error)) from None
        except OSError as error:
            # The password's file, say.
            raise StoreAway(type(error).__name__) from None

    def close(self) -> None:
        """The next record opens another."""
        if self._connection is not None:
            with suppress(psycopg.Error):
                self._connection.close()
            self._connection = None

    def _opened(self) -> psycopg.Connection:
        if self._connection is None or self._connection.closed:
            self._connection = psycopg.connect(
                self._url,
                password=self._password(),
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                application_name="steward-flags",
                tcp_user_timeout=int(_ANSWER_SECONDS * 1000),
                options=f"-c statement_timeout={int(_ANSWER_SECONDS)}s",
            )
        return self._connection


_RECORD = "SELECT FROM flags.record(%s, %s::jsonb)"

_TOTALS = """
SELECT flag, rollout, step, variant, kind, users
FROM flags.totals JOIN unnest(%s::text[], %s::text[], %s::integer[]) AS asked (flag, rollout, step) USING (flag, rollout, step)
"""


def _as_json(outcomes: Sequence[Outcome]) -> str:
    return json.dumps([_row(each) for each in outcomes])


def _row(outcome: Outcome) -> dict[str, str | int]:
    flag, rollout, step = outcome.at
    named = {"flag": flag, "rollout": rollout, "step": step, "variant": outcome.variant}
    return {**named, "kind": str(outcome.kind), "user": outcome.user.hex()}


def _kind(error: psycopg.Error) -> str:
    """SQLSTATE where there is one: the words may quote a row, or a connection's password."""
    return f"{type(error).__name__} {error.sqlstate or ''}".strip()


@contextmanager
def _cut_off_after(connection: psycopg.Connection, seconds: float) -> Generator[None]:
    # A descriptor of its own: the connection's may be closed, and its number given away, when the time comes.
    descriptor = socket.socket(fileno=os.dup(connection.fileno()))
    timer = threading.Timer(seconds, lambda: _shut(descriptor))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        descriptor.close()


def _shut(descriptor: socket.socket) -> None:
    with suppress(OSError):
        descriptor.shutdown(socket.SHUT_RDWR)
