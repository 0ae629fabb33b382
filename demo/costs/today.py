"""What the ledger has of requests of a moment ago, held against the providers' own record of them.

Their day is not over, so nothing is billed for it yet; that much can be said already.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, LiteralString

from psycopg.rows import dict_row

from demo.costs.twins import TwinsAdministration
from demo.costs.users import CALLER
from steward.clients.attempts_keys import clock
from steward.clients.postgres import connect
from steward.errors import Unavailable
from steward.settings import Settings

_SETTLED_SECONDS = 60
#: What the ledger calls the classes of tokens, and the twins' record.
_CLASSES = {
    "input_uncached": "input_uncached",
    "input_cached": "cache_read",
    "cache_write": "cache_write_30m",
    "cache_write_5m": "cache_write_5m",
    "cache_write_1h": "cache_write_1h",
    "output": "output",
}


@dataclass(frozen=True)
class Entered:
    """Attempts of the users since a moment."""

    attempts: int
    tenants: int
    accounts: Mapping[str, int]
    guessed: int
    """Streams whose usage was never told: what was seen is entered, with bounds around it."""
    unknown: int
    apart: tuple[str, ...]
    """Attempts of which ledger and provider say different things, in sentences."""

    def lines(self) -> Iterator[str]:
        """For people."""
        by = ", ".join(f"{count:,} at {account}" for account, count in sorted(self.accounts.items()))
        yield f"in the ledger: {self.attempts:,} attempts of {self.tenants} tenants ({by})"
        yield f"  {self.guessed:,} of them broke off and are entered with bounds; {self.unknown:,} have no end"
        yield f"  as the providers recorded them, one by one: {'yes' if not self.apart else f'NO, {len(self.apart):,} are not'}"
        yield from (f"    {each}" for each in self.apart[:5])


def now(settings: Settings) -> dt.datetime:
    """By the ledger's clock."""
    with connect(settings) as db:
        return clock(db)


def entered_since(settings: Settings, twins: TwinsAdministration, since: dt.datetime) -> Entered:
    """What the users' attempts came to, once none is open any more."""
    rows = _over(settings, since)
    recorded = {each["client_request_id"]: each for each in twins.attempts()}
    accounts = [row["account"] for row in rows]
    return Entered(
        attempts=len(rows),
        tenants=len({row["tenant"] for row in rows}),
        accounts={account: accounts.count(account) for account in accounts},
        guessed=sum(row["is_estimate"] for row in rows),
        unknown=sum(row["state"] == "unknown" for row in rows),
        apart=tuple(_apart(row, recorded.get(str(row["id"]))) for row in rows if _differs(row, recorded)),
    )


def _over(settings: Settings, since: dt.datetime) -> list[dict[str, Any]]:
    deadline = time.monotonic() + _SETTLED_SECONDS
    while True:
        with connect(settings) as db, db.cursor(row_factory=dict_row) as cursor:
            rows = cursor.execute(_ROWS, {"since": since, "caller": CALLER}).fetchall()
        if all(row["state"] not in {"reserved", "sent"} for row in rows):
            return rows
        if time.monotonic() > deadline:
            raise Unavailable("attempts of the gateway are still open", hint="see python -m replica logs gateway")
        time.sleep(0.2)


def _differs(row: Mapping[str, Any], recorded: Mapping[str, Mapping[str, Any]]) -> bool:
    """Of a guess, bounds are all that can be asked for."""
    found = recorded.get(str(row["id"]))
    if row["state"] != "settled":
        return False
    if found is None:
        return True
    if row["is_estimate"]:
        return not row["output_low"] <= found["output"] <= row["output_high"]
    return any(row[ours] != (found[theirs] or 0) for ours, theirs in _CLASSES.items())


def _apart(row: Mapping[str, Any], found: Mapping[str, Any] | None) -> str:
    ours = {name: row[name] for name in _CLASSES}
    theirs = {name: found[theirs] for name, theirs in _CLASSES.items()} if found else "nothing"
    return f"{row['id']} at {row['account']}: the ledger has {ours}, the provider {theirs}"


_ROWS: LiteralString = """
SELECT * FROM steward.ai_attempts WHERE key_id = %(caller)s AND reserved_at >= %(since)s AND state <> 'aborted'
"""
