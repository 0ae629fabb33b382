"""What the application feels of a sweep: its database asked for one row by its key, again and again.

`python -m steward.clients.latency_probe APPLICATION` writes milliseconds, a line a question, until its input ends. A
process of its own: in the sweep's it would feel that one's threads, and not the database.
"""

from __future__ import annotations

import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from psycopg import sql

from steward.clients.encrypted_tables import row_id_kinds
from steward.clients.postgres import Connection, application_database, open_connection, worded
from steward.keys.columns import load_columns
from steward.keys.golden import golden_row_id
from steward.settings import load

#: Twenty questions a second cost an application nothing that it could measure.
EVERY_SECONDS = 0.05
#: How long a probe may take to end by itself.
_END_SECONDS = 5.0


@contextmanager
def probing(application: str, felt: Callable[[float], None]) -> Generator[None]:
    """Tell *felt* of every question while the block runs. A probe that cannot ask is silent; the sweep then feels nothing."""
    command = [sys.executable, "-m", "steward.clients.latency_probe", application]
    probe = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    listening = threading.Thread(target=_listen, args=(probe, felt), name="latency-probe", daemon=True)
    listening.start()
    try:
        yield
    finally:
        if probe.stdin:
            probe.stdin.close()
        try:
            probe.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            probe.kill()
            probe.wait()
        listening.join()


def _listen(probe: subprocess.Popen[str], felt: Callable[[float], None]) -> None:
    assert probe.stdout is not None  # noqa: S101  it was asked for
    with probe.stdout as lines:
        for line in lines:
            felt(float(line))


def main(application: str) -> None:
    settings = load()
    database = application_database(settings, application)
    table = load_columns(settings.applications[application].encrypted).tables[0]
    with (
        worded(database),
        open_connection(database, autocommit=True, application_name="steward-latency-probe") as connection,
    ):
        row_id = golden_row_id(table, row_id_kinds(connection, table), 0)
        query = sql.SQL("SELECT {} FROM {} WHERE {}").format(
            sql.Identifier(table.sealed_columns[0]),
            sql.Identifier(*table.where.split(".", 1)),
            sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(column)) for column in table.row_id),
        )
        _ask_until_told(connection, query, row_id if isinstance(row_id, tuple) else (row_id,))


def _ask_until_told(connection: Connection, query: sql.Composed, row_id: tuple[object, ...]) -> None:
    ended = selectors.DefaultSelector()
    ended.register(sys.stdin, selectors.EVENT_READ)
    while not ended.select(EVERY_SECONDS):
        began = time.perf_counter()
        connection.execute(query, row_id).fetchall()
        sys.stdout.write(f"{(time.perf_counter() - began) * 1000:.3f}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
