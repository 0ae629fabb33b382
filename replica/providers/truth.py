"""What really came in and what became of it: one row an arrival, one row an end, in SQLite, never changed.

Written before anything else happens to a request, so that it is known even if the twin is killed over it. A process that
dies loses nothing; a machine that does may (`synchronous` is off: the disk is not what is being tested).
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replica.providers.prompt_cache import Split

_SCHEMA = Path(__file__).with_name("truth.sql")


@dataclass(slots=True)
class Arrival:
    """One request at an inference endpoint, as far as it could be read; empty where it could not."""

    provider: str
    endpoint: str
    client_request_id: str = ""
    account: str = ""
    project: str = ""
    key_id: str = ""
    stream: bool = False
    model_asked: str = ""
    tier_asked: str = ""


@dataclass(slots=True)
class End:
    """What became of it.

    `outcome`: completed; refused (4xx), throttled (429), failed (5xx); dropped (no answer); abandoned (the caller left);
    cut, truncated, broken (a stream that the twin ended badly).
    """

    status: int
    outcome: str
    model_served: str = ""
    tier_served: str = ""
    split: Split = field(default_factory=Split)
    output: int = 0
    reasoning: int = 0
    web_searches: int = 0
    long_context: bool = False
    billed: bool = False


class Truth:
    """The database. One thread's."""

    def __init__(self, file: Path, seed: int) -> None:
        self.database = sqlite3.connect(file, isolation_level=None)
        self.database.row_factory = sqlite3.Row
        self.database.execute("PRAGMA journal_mode = WAL")
        self.database.execute("PRAGMA synchronous = OFF")
        self.database.executescript(_SCHEMA.read_text())
        self._seed = seed
        self._next = int(self.database.execute("SELECT coalesce(max(seq), 0) + 1 FROM arrivals").fetchone()[0])

    def arrived(self, arrival: Arrival) -> tuple[int, str]:
        """(seq, request id) of a new row. Ids name the seed, the provider and the row, so they are unique in one database."""
        seq, self._next = self._next, self._next + 1
        request_id = f"req_{self._seed:04x}{arrival.provider[0]}{seq:012x}"
        self.database.execute(
            "INSERT INTO arrivals VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                seq,
                request_id,
                arrival.client_request_id,
                arrival.provider,
                arrival.account,
                arrival.project,
                arrival.key_id,
                arrival.endpoint,
                arrival.stream,
                arrival.model_asked,
                arrival.tier_asked,
                time.time(),
            ),
        )
        return seq, request_id

    def ended(self, seq: int, end: End) -> None:
        """Once only: a second end of the same arrival is an error of the twin."""
        split = end.split
        self.database.execute(
            "INSERT INTO ends VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                seq,
                time.time(),
                end.status,
                end.outcome,
                end.model_served,
                end.tier_served,
                split.uncached,
                split.read,
                split.write_5m,
                split.write_1h,
                split.write_30m,
                end.output,
                end.reasoning,
                end.web_searches,
                end.long_context,
                end.billed,
            ),
        )

    def page(self, after: int, limit: int, where: Mapping[str, str]) -> list[dict[str, Any]]:
        """At most *limit* attempts behind *after*, in order; an attempt still under way has no end yet (null)."""
        conditions = " AND ".join(["arrivals.seq > ?", *(f"{name} = ?" for name in where)])
        rows = self.database.execute(
            f"SELECT arrivals.*, ends.* FROM arrivals LEFT JOIN ends USING (seq) WHERE {conditions} "  # noqa: S608 -- names from a fixed set
            "ORDER BY arrivals.seq LIMIT ?",
            (after, *where.values(), limit),
        )
        return [dict(row) for row in rows]

    def totals(self) -> list[dict[str, Any]]:
        """Counts by provider and outcome; `null` is under way, or was when the twin was killed."""
        rows = self.database.execute(
            "SELECT provider, outcome, count(*) AS attempts, sum(billed) AS billed FROM arrivals "
            "LEFT JOIN ends USING (seq) GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return [dict(row) for row in rows]

    def close(self) -> None:
        """The file stays."""
        self.database.close()
