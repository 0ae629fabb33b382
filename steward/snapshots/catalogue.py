"""The record of nights in PostgreSQL: which attempt is whose, what it left lying about, and what came of it.

One night of one cluster is proved once. An attempt that dies leaves its row, and in it every name that it made before
or as it made it, so that the next attempt can clear exactly that and nothing else.

A night's states: `running` (leftovers are noted), `proved` (the report is kept; what remains is idempotent), `done`.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict

from steward.errors import StewardError
from steward.snapshots.checked import Attempt
from steward.snapshots.definitions import Definitions
from steward.snapshots.global_state import Additions
from steward.snapshots.report import SnapshotReport
from steward.verdicts import Verdict

Db = Connection[Any]


class AlreadyRunning(StewardError):
    """Another process is at work on the same resource."""


class ExpectationsMissing(StewardError):
    """The record does not hold what the copy is to be compared with."""


class Leftovers(BaseModel):
    """What an attempt has made and not yet removed. Noted before it is made, or at once where the server names it."""

    model_config = ConfigDict(frozen=True)

    prefix: str | None = None
    """Of the indices restored on the scratch cluster."""
    additions: Additions = Additions()
    """To the scratch cluster, by restoring the global state."""
    points_in_time: list[str] = []


class Night(Attempt):
    """One attempt as the record holds it."""

    state: str
    leftovers: Leftovers = Leftovers()
    report: SnapshotReport | None = None


@contextmanager
def exclusive(connection: Db, resource: str) -> Generator[None]:
    """Hold *resource* while this connection lives; AlreadyRunning where another holds it.

    PostgreSQL frees it when the holder's connection ends, so a killed process blocks nobody. The connection must not
    be one from a pool.
    """
    row = connection.execute("select pg_try_advisory_lock(hashtextextended(%s, 0))", [resource]).fetchone()
    connection.commit()
    if not row or not row[0]:
        raise AlreadyRunning(
            f"another run is at work on {resource}", hint="wait for it, or cancel it in the Prefect UI; then run again"
        )
    try:
        yield
    finally:
        if not connection.closed:
            connection.execute("select pg_advisory_unlock(hashtextextended(%s, 0))", [resource])
            connection.commit()


_SELECT = "select cluster, night, attempt, snapshot, started_at, state, leftovers, report from steward.snapshot_nights"


def attempts(connection: Db, cluster: str, night: date) -> list[Night]:
    """The attempts at one night, oldest first."""
    return _nights(connection, f"{_SELECT} where cluster = %s and night = %s order by attempt", [cluster, night])


def with_leftovers(connection: Db, cluster: str) -> list[Night]:
    """Attempts at any night whose leftovers nobody has removed: they died, or a server was away when they ended."""
    return _nights(
        connection, f"{_SELECT} where cluster = %s and leftovers <> '{{}}' order by night, attempt", [cluster]
    )


def history(connection: Db, cluster: str, most: int = 60) -> list[SnapshotReport]:
    """Reports of the latest nights, newest first."""
    nights = _nights(
        connection,
        f"{_SELECT} where cluster = %s and report is not null order by night desc, attempt desc limit %s",
        [cluster, most],
    )
    return [night.report for night in nights if night.report]


def _nights(connection: Db, query: str, values: Sequence[object]) -> list[Night]:
    # The queries are constants of this module; only values are the caller's.
    with connection.cursor() as cursor:
        rows = cursor.execute(query, values).fetchall()  # pyright: ignore[reportArgumentType, reportCallIssue]
    fields = ("cluster", "night", "attempt", "snapshot", "started_at", "state", "leftovers", "report")
    return [Night.model_validate(dict(zip(fields, row, strict=True))) for row in rows]


def begin(connection: Db, night: Night) -> None:
    """Record that this attempt begins, with what it is about to make. Twice is harmless."""
    connection.execute(
        """insert into steward.snapshot_nights (cluster, night, attempt, snapshot, state, leftovers, started_at)
           values (%s, %s, %s, %s, 'running', %s, %s)
           on conflict (cluster, night, attempt) do nothing""",
        [
            night.cluster,
            night.night,
            night.attempt,
            night.snapshot,
            Jsonb(night.leftovers.model_dump(exclude_defaults=True)),
            night.started_at,
        ],
    )
    connection.commit()


def note_points_in_time(connection: Db, night: Night, ids: Sequence[str]) -> None:
    """Add points in time to the attempt's leftovers."""
    connection.execute(
        """update steward.snapshot_nights
           set leftovers = jsonb_set(leftovers, '{points_in_time}', coalesce(leftovers -> 'points_in_time', '[]') || %s)
           where cluster = %s and night = %s and attempt = %s""",
        [Jsonb(list(ids)), night.cluster, night.night, night.attempt],
    )
    connection.commit()


def note_prefix(connection: Db, night: Night, prefix: str) -> None:
    """Note under which prefix copies are about to be restored on the scratch cluster."""
    _note(connection, night, {"prefix": prefix})


def note_additions(connection: Db, night: Night, additions: Additions) -> None:
    """Note what restoring the global state is about to add to the scratch cluster."""
    _note(connection, night, {"additions": additions.model_dump()})


def _note(connection: Db, night: Night, noted: Mapping[str, object]) -> None:
    connection.execute(
        """update steward.snapshot_nights set leftovers = leftovers || %s
           where cluster = %s and night = %s and attempt = %s""",
        [Jsonb(noted), night.cluster, night.night, night.attempt],
    )
    connection.commit()


def keep_expectations(connection: Db, night: Night, moment: str, held: Definitions) -> None:
    """Keep the definitions captured at *moment* ("before" or "after"): they may be many, and travel by reference."""
    connection.execute(
        """update steward.snapshot_nights
           set expectations = coalesce(expectations, '{}') || jsonb_build_object(%s::text, %s)
           where cluster = %s and night = %s and attempt = %s""",
        [moment, Jsonb(held.model_dump()), night.cluster, night.night, night.attempt],
    )
    connection.commit()


def expectations(connection: Db, night: Night) -> tuple[Definitions, Definitions]:
    """The definitions captured before and after the snapshot."""
    row = connection.execute(
        "select expectations from steward.snapshot_nights where cluster = %s and night = %s and attempt = %s",
        [night.cluster, night.night, night.attempt],
    ).fetchone()
    held = (row[0] if row else None) or {}
    if held.keys() < {"before", "after"}:
        raise ExpectationsMissing(
            f"the definitions captured for {night.snapshot} are not in the record", hint="run the night again"
        )
    return Definitions.model_validate(held["before"]), Definitions.model_validate(held["after"])


def keep_report(connection: Db, report: SnapshotReport) -> None:
    """The attempt has come to a verdict: keep its report. From here a rerun only finishes what remains."""
    _finish(connection, report, "proved")
    connection.commit()


def end(connection: Db, report: SnapshotReport, proofs: Mapping[str, tuple[str, int]]) -> None:
    """The night is done. *proofs*: (digest, documents) of each tenant that was proved VERIFIED."""
    with connection.transaction():
        for tenant, (digest, documents) in proofs.items():
            connection.execute(
                """insert into steward.tenant_proofs (cluster, tenant, night, digest, documents, proved_at)
                   values (%s, %s, %s, %s, %s, %s) on conflict (cluster, tenant, night)
                   do update set digest = excluded.digest, documents = excluded.documents,
                                 proved_at = excluded.proved_at""",
                [report.cluster, tenant, report.night, digest, documents, report.ended_at],
            )
        _finish(connection, report, "done")
    connection.commit()


def _finish(connection: Db, report: SnapshotReport, state: str) -> None:
    connection.execute(
        """update steward.snapshot_nights set state = %s, verdict = %s, report = %s, ended_at = clock_timestamp(), expectations = null
           where cluster = %s and night = %s and attempt = %s""",
        [
            state,
            report.verdict,
            Jsonb(report.model_dump(mode="json")),
            report.cluster,
            report.night,
            report.attempt,
        ],
    )


def forget_leftovers(connection: Db, night: Night) -> None:
    """All that the attempt had made is removed, its complete snapshot apart."""
    connection.execute(
        "update steward.snapshot_nights set leftovers = '{}' where cluster = %s and night = %s and attempt = %s",
        [night.cluster, night.night, night.attempt],
    )
    connection.commit()


def abandon(connection: Db, night: Night) -> None:
    """The attempt died before its verdict, and never will come to one."""
    connection.execute(
        """update steward.snapshot_nights
           set state = 'done', leftovers = '{}', expectations = null, ended_at = coalesce(ended_at, clock_timestamp())
           where cluster = %s and night = %s and attempt = %s""",
        [night.cluster, night.night, night.attempt],
    )
    connection.commit()


def proof_nights(connection: Db, cluster: str) -> dict[str, date]:
    """The latest night at which each tenant was proved VERIFIED."""
    rows = connection.execute(
        "select tenant, max(night) from steward.tenant_proofs where cluster = %s group by tenant", [cluster]
    ).fetchall()
    return {str(tenant): night for tenant, night in rows}


def verdicts(connection: Db, cluster: str) -> dict[str, tuple[date, Verdict | None]]:
    """Every snapshot that an attempt took: its night and what was found."""
    rows = connection.execute(
        "select snapshot, night, verdict from steward.snapshot_nights where cluster = %s", [cluster]
    ).fetchall()
    return {str(name): (night, Verdict(verdict) if verdict else None) for name, night, verdict in rows}
