"""Usage that a provider states late, or takes back: signed, on its own minute, visible from a moment on."""

from __future__ import annotations

import dataclasses
import sqlite3
import time
from collections.abc import Iterable, Mapping
from typing import Any

from replica.providers.billing.usage import Usage
from replica.providers.errors import Refusal

_NAMED = ("provider", "account", "project", "key_id", "endpoint", "model", "tier")
_COUNTED = (
    "requests",
    "input_uncached",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "cache_write_30m",
    "output",
    "web_searches",
)


def take_in(database: sqlite3.Connection, usage: Iterable[Usage]) -> int:
    """Sums that were made elsewhere, as if this twin had stated them: how many there are."""
    columns = (
        "minute, provider, account, project, key_id, endpoint, model, tier, long_context, requests, input_uncached, "
    )
    columns += "cache_read, cache_write_5m, cache_write_1h, cache_write_30m, output, web_searches, visible_at"
    marks = ", ".join("?" * len(columns.split(",")))
    with database:
        database.execute("BEGIN")
        taken = database.executemany(
            f"INSERT INTO restatements ({columns}) VALUES ({marks})",  # noqa: S608 -- fixed names
            (dataclasses.astuple(row) for row in usage),
        )
    return taken.rowcount


def add(database: sqlite3.Connection, told: Mapping[str, Any]) -> None:
    """Lay one down: names, signed counts (default 0), `at` (Unix time), `visible_at` (default now). Refusal 400 if unfit."""
    known = {*_NAMED, *_COUNTED, "at", "visible_at", "long_context"}
    missing = [name for name in (*_NAMED, "at") if name not in told]
    if missing or set(told) - known:
        raise Refusal(
            400, f"a restatement takes {', '.join(sorted(known))}; missing: {', '.join(missing) or 'nothing'}"
        )
    minute = int(told["at"]) // 60 * 60
    values = [
        float(told.get("visible_at", time.time())),
        minute,
        *(str(told[name]) for name in _NAMED),
        bool(told.get("long_context")),
        *(int(told.get(name, 0)) for name in _COUNTED),
    ]
    columns = f"visible_at, minute, {', '.join(_NAMED)}, long_context, {', '.join(_COUNTED)}"
    marks = ", ".join("?" * len(values))
    database.execute(f"INSERT INTO restatements ({columns}) VALUES ({marks})", values)  # noqa: S608 -- fixed names
