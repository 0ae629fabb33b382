"""Connections that a client keeps between its questions, each question with a limit of time on this side too."""

from __future__ import annotations

import os
import socket
import threading
import weakref
from collections.abc import Callable, Generator
from contextlib import contextmanager

import psycopg

from steward.clients.postgres import Connection, DatabaseUnavailable


class KeptConnections:
    """At most *most* of them in use at once; further threads wait up to *wait_seconds* for one, then are refused.

    Kept because a new one costs more than a question. The server's own time limits do not help where its process hangs:
    its host goes on acknowledging what it is sent, and nobody answers. So whoever asks is cut off here.
    """

    def __init__(self, opener: Callable[[], Connection], *, most: int, wait_seconds: float) -> None:
        self._open, self._most, self._wait_seconds = opener, most, wait_seconds
        # By process: a forked child must not share its parent's sockets, nor wait for its turns.
        self._kept: dict[int, _Kept] = {}
        # When it is forgotten, or the process ends: nobody else knows of them.
        weakref.finalize(self, _close, self._kept)

    @contextmanager
    def one(self, limit_seconds: float) -> Generator[Connection]:
        """A connection for the block, which DatabaseUnavailable ends where it lasts longer than *limit_seconds*."""
        process = os.getpid()
        kept = self._kept.get(process) or self._kept.setdefault(process, _Kept(self._most))
        if not kept.turns.acquire(timeout=self._wait_seconds):
            raise DatabaseUnavailable(
                f"no connection was free within {self._wait_seconds:g} s",
                hint="the database is slow, or this process asks it too much at once",
            )
        try:
            connection = kept.idle_one() or self._open()
            try:
                with _cut_off_after(connection, limit_seconds):
                    yield connection
            finally:
                kept.take_back(connection)
        finally:
            kept.turns.release()

    def close(self) -> None:
        """Close this process's idle connections."""
        _close(self._kept)


class _Kept:
    """One process's."""

    def __init__(self, most: int) -> None:
        self.turns = threading.BoundedSemaphore(most)
        self._idle: list[Connection] = []

    def idle_one(self) -> Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def take_back(self, connection: Connection) -> None:
        if connection.closed or connection.info.transaction_status is not psycopg.pq.TransactionStatus.IDLE:
            connection.close()
            # What broke one connection has as a rule broken its neighbours: each would cost a try.
            self.close()
        else:
            self._idle.append(connection)

    def close(self) -> None:
        while connection := self.idle_one():
            connection.close()


@contextmanager
def _cut_off_after(connection: Connection, seconds: float) -> Generator[None]:
    # A descriptor of its own: the connection's may be closed, and its number given away, when the time comes.
    descriptor = socket.socket(fileno=os.dup(connection.fileno()))
    target = f"{connection.info.host}:{connection.info.port}/{connection.info.dbname}"
    late = threading.Event()

    def cut() -> None:
        late.set()
        descriptor.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except (psycopg.OperationalError, DatabaseUnavailable):
        if late.is_set():
            raise DatabaseUnavailable(
                f"PostgreSQL at {target} gave no answer within {seconds:g} s",
                hint="its process hangs, or the network does; see its log",
            ) from None
        raise
    finally:
        timer.cancel()
        timer.join()
        descriptor.close()
        if late.is_set():
            connection.close()


def _close(kept: dict[int, _Kept]) -> None:
    if mine := kept.get(os.getpid()):
        mine.close()
