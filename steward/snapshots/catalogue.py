"""The catalogue of nights in PostgreSQL: which snapshot was taken for which night, what was found, what it must hold.

A snapshot enters it before it is taken, so that none of ours is ever taken for somebody else's; its report follows.
What a run has done and left is the operation ledger's affair.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from steward.errors import StewardError
from steward.snapshots.checked import Attempt
from steward.snapshots.definitions import Definitions
from steward.snapshots.report import SnapshotReport
from steward.verdicts import Verdict

Db = Connection[Any]


class ExpectationsMissing(StewardError):
    """The catalogue does not hold what the copy is to be compared with."""


def next_attempt(connection: Db, cluster: str, night: date) -> int:
    """The number of the next attempt at *night*, from 1."""
    row = connection.execute(
        "select coalesce(max(attempt), 0) + 1 from steward.snapshot_nights where cluster = %s and night = %s",
        [cluster, night],
    ).fetchone()
    return int(row[0]) if row else 1


def enter(connection: Db, attempt: Attempt) -> None:
    """Enter the snapshot that *attempt* is about to take. Twice is harmless."""
    connection.execute(
        """insert into steward.snapshot_nights (cluster, night, attempt, snapshot, started_at)
           values (%s, %s, %s, %s, %s) on conflict (cluster, snapshot) do nothing""",
        [attempt.cluster, attempt.night, attempt.attempt, attempt.snapshot, attempt.started_at],
    )
    connection.commit()


def keep_expectations(connection: Db, cluster: str, snapshot: str, moment: str, held: Definitions) -> None:
    """Keep the definitions captured at *moment* ("before" or "after"): they may be many, and travel by reference."""
    connection.execute(
        """update steward.snapshot_nights
           set expectations = coalesce(expectations, '{}') || jsonb_build_object(%s::text, %s)
           where cluster = %s and snapshot = %s""",
        [moment, Jsonb(held.model_dump()), cluster, snapshot],
    )
    connection.commit()


def expectations(connection: Db, cluster: str, snapshot: str) -> tuple[Definitions, Definitions]:
    """The definitions captured before and after the snapshot."""
    row = connection.execute(
        "select expectations from steward.snapshot_nights where cluster = %s and snapshot = %s", [cluster, snapshot]
    ).fetchone()
    held = (row[0] if row else None) or {}
    if held.keys() < {"before", "after"}:
        raise ExpectationsMissing(
            f"the definitions captured for {snapshot} are not in the catalogue", hint="run the night again"
        )
    return Definitions.model_validate(held["before"]), Definitions.model_validate(held["after"])


def keep_report(connection: Db, report: SnapshotReport) -> None:
    """The attempt has come to a verdict. The caller commits, with what must be true at the same moment."""
    connection.execute(
        """insert into steward.snapshot_nights (cluster, night, attempt, snapshot, started_at, verdict, report, ended_at)
           values (%(cluster)s, %(night)s, %(attempt)s, %(snapshot)s, %(started)s, %(verdict)s, %(report)s, %(ended)s)
           on conflict (cluster, snapshot) do update
           set verdict = excluded.verdict, report = excluded.report, ended_at = excluded.ended_at, expectations = null""",
        {
            "cluster": report.cluster,
            "night": report.night,
            "attempt": report.attempt,
            "snapshot": report.snapshot,
            "started": report.started_at,
            "verdict": report.verdict,
            "report": Jsonb(report.model_dump(mode="json")),
            "ended": report.ended_at,
        },
    )


def keep_proofs(connection: Db, report: SnapshotReport) -> None:
    """Tenants that are VERIFIED have a new proof age. The caller commits."""
    for tenant in report.tenants:
        if tenant.verdict is Verdict.VERIFIED:
            connection.execute(
                """insert into steward.tenant_proofs (cluster, tenant, night, digest, documents, proved_at)
                   values (%s, %s, %s, %s, %s, %s) on conflict (cluster, tenant, night)
                   do update set digest = excluded.digest, documents = excluded.documents,
                                 proved_at = excluded.proved_at""",
                [report.cluster, tenant.tenant, report.night, tenant.digest, tenant.documents, report.ended_at],
            )


def history(connection: Db, cluster: str, most: int = 60) -> list[SnapshotReport]:
    """Reports of the latest nights, newest first."""
    rows: Sequence[tuple[Any]] = connection.execute(
        """select report from steward.snapshot_nights
           where cluster = %s and report is not null order by night desc, attempt desc limit %s""",
        [cluster, most],
    ).fetchall()
    return [SnapshotReport.model_validate(report) for (report,) in rows]


def proof_nights(connection: Db, cluster: str) -> dict[str, date]:
    """The latest night at which each tenant was proved VERIFIED."""
    rows = connection.execute(
        "select tenant, max(night) from steward.tenant_proofs where cluster = %s group by tenant", [cluster]
    ).fetchall()
    return {str(tenant): night for tenant, night in rows}


def verdicts(connection: Db, cluster: str) -> Mapping[str, tuple[date, Verdict | None]]:
    """Every snapshot that an attempt took or meant to take: its night and what was found."""
    rows = connection.execute(
        "select snapshot, night, verdict from steward.snapshot_nights where cluster = %s", [cluster]
    ).fetchall()
    return {str(name): (night, Verdict(verdict) if verdict else None) for name, night, verdict in rows}
