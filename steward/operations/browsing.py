"""The ledger in words: which operations there are, and all that is known of one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from steward.errors import BadInput
from steward.operations.decisions import named, read_operation
from steward.operations.ledger import Ledger, Row

STATES = ("due", "running", "waiting", "done", "failed", "undone", "cancelled", "skipped")
_LONGEST = 100


def list_operations(ledger: Ledger, *, state: str | None, name: str | None, limit: int) -> str:
    """The newest first, one a line. Raises BadInput for a state there is not."""
    if state and state not in STATES:
        raise BadInput(f"unknown state {state!r}", hint=f"one of {', '.join(STATES)}")
    rows = ledger.query(_LIST, state=state, name=name, limit=limit)
    if not rows:
        return "no such operation"
    head = ("ID", "OPERATION", "STATE", "VERDICT", "ATTEMPTS", "SINCE", "ERROR")
    return _table([head, *(_line(row) for row in rows)])


def _line(row: Row) -> tuple[str, ...]:
    since = _time(row["ended_at"] or row["began_at"] or row["due_at"] or row["created_at"])
    said = (str(row["id"]), named(row), row["state"], row["verdict"] or "-", str(row["attempt"]), since)
    return (*said, _short(row["error"]))


def show_operation(ledger: Ledger, operation_id: int) -> str:
    """Everything the ledger holds of it: what to do first, then attempts, steps, what is left, decisions.

    Raises UnknownOperation.
    """
    row = read_operation(ledger, operation_id)
    keys = {"id": operation_id, "round": row["round"]}
    steps = ledger.query(_STEPS, **keys)
    parts = [
        _head(row, datetime.fromtimestamp(ledger.query(_NOW)[0]["now"], UTC)),
        f"NEXT: {_next(row, steps)}",
        _section("attempts", ("#", "ENDED", "BEGAN", "TOOK", "RUN"), map(_attempt, ledger.query(_ATTEMPTS, **keys))),
        _section(f"steps of round {row['round']}", ("STEP", "STATE", "TRIES", "BEGAN", "TOOK", ""), map(_step, steps)),
        _section(
            "made and not removed", ("KIND", "NAME", "STEP", "TOKEN"), map(_effect, ledger.query(_EFFECTS, **keys))
        ),
        _section(
            "decided by people", ("AT", "BY", "DECISION", "BECAUSE"), map(_decided, ledger.query(_DECIDED, **keys))
        ),
    ]
    return "\n\n".join(part for part in parts if part)


def _head(row: Row, now: datetime) -> str:
    lines = [f"{named(row)} is {row['state']}{f' {verdict}' if (verdict := row['verdict']) else ''}"]
    if row["error"]:
        lines += [f"  {line}" for line in row["error"].splitlines()]
    facts = {
        "operation": f"{row['id']}, round {row['round']}, attempt {row['attempt']}, token {row['token']}",
        "resource": row["resource"],
        "due": _time(row["due_at"]),
        "began": _time(row["began_at"]),
        "ended": _time(row["ended_at"]),
        "lease until": _lease(row, now),
        "deadline": _time(row["deadline"]) if row["state"] in ("running", "waiting") else "",
        "turned back": row["turned_back"],
        "next run": row["next_run_id"],
    }
    return "\n".join([*lines, *(f"  {name:<12} {fact}" for name, fact in facts.items() if fact)])


def _lease(row: Row, now: datetime) -> str:
    if row["state"] != "running":
        return ""
    left = (row["lease_until"] - now).total_seconds()
    return f"{_time(row['lease_until'])} ({f'{left:.0f} s left' if left > 0 else f'expired {-left:.0f} s ago'})"


def _next(row: Row, steps: Sequence[Row]) -> str:
    number = row["id"]
    doubtful = [step for step in steps if step["state"] == "intended"]
    if row["state"] == "failed" and (row["error"] or "").startswith("InDoubt") and doubtful:
        step = doubtful[-1]
        key = f" --key {step['key']}" if step["key"] else ""
        return (
            f"look at the other side whether {step['name']} happened, then\n"
            f"      python -m steward.operations resolve {number} {step['name']}{key} --happened --because '...'\n"
            f"      python -m steward.operations resolve {number} {step['name']}{key} --did-not-happen --because '...'"
        )
    again = f"python -m steward.operations reopen {number}"
    return {
        "due": "the watch starts a run when its resource is free; nothing to do",
        "running": "nothing to do; if its process is dead, the watch takes it up within a minute",
        "waiting": "a person has to answer: resume its run in Prefect's UI, or cancel it",
        "failed": f"remove the cause, then: {again} --because '...'",
        "undone": f"it was turned back; to try once more: {again} --anew --because '...'",
        "cancelled": f"nothing to do; to go on after all: {again} --because '...'",
        "skipped": f"nothing to do; to make it good after all: {again} --because '...'",
        "done": "nothing to do" if row["verdict"] in (None, "VERIFIED") else f"{again} --anew --because '...'",
    }[row["state"]]


def _attempt(row: Row) -> tuple[str, ...]:
    ended = row["ended"] or ("at work" if row["current"] else "died")
    refused = f", refused {row['refused']} times" if row["refused"] else ""
    return (
        f"{row['attempt']}",
        f"{ended}{refused}",
        _time(row["began_at"]),
        _took(row["took"]),
        str(row["flow_run_id"] or "-"),
    )


def _step(row: Row) -> tuple[str, ...]:
    called = f"{row['name']} ({row['key']})" if row["key"] else row["name"]
    said = _short(row["error"]) or (row["verdict"] or "")
    return called, row["state"], str(row["tries"]), _time(row["intended_at"]), _took(row["took"]), said


def _effect(row: Row) -> tuple[str, ...]:
    return row["kind"], row["effect_id"], row["step"], str(row["token"])


def _decided(row: Row) -> tuple[str, ...]:
    of = f" {row['step']} {row['key']}".rstrip()
    return _time(row["decided_at"]), row["decided_by"], f"{row['decision']}{of}", row["because"]


def _section(title: str, head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    told = list(rows)
    return f"{title}:\n{_table([head, *told], indent='  ')}" if told else ""


def _table(rows: Sequence[tuple[str, ...]], indent: str = "") -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _time(at: datetime | None) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if at else ""


def _took(took: timedelta | None) -> str:
    return f"{took.total_seconds():.1f} s" if took is not None else "-"


def _short(text: Any) -> str:
    first = str(text or "").partition("\n")[0]
    return first if len(first) <= _LONGEST else f"{first[:_LONGEST]}…"


_NOW = "SELECT extract(epoch FROM clock_timestamp())::float AS now"

_LIST = """
SELECT * FROM steward.operations
 WHERE (%(state)s::text IS NULL OR state = %(state)s) AND (%(name)s::text IS NULL OR name = %(name)s)
 ORDER BY coalesce(ended_at, began_at, due_at, created_at) DESC, id DESC LIMIT %(limit)s
"""

_ATTEMPTS = """
SELECT a.*, a.ended_at - a.began_at AS took, a.token = o.token AND o.state = 'running' AS current
  FROM steward.operation_attempts a JOIN steward.operations o ON o.id = a.operation_id
 WHERE a.operation_id = %(id)s ORDER BY a.token
"""

_STEPS = """
SELECT *, done_at - intended_at AS took FROM steward.operation_steps
 WHERE operation_id = %(id)s AND round = %(round)s ORDER BY ordinal
"""

_EFFECTS = "SELECT * FROM steward.operation_effects WHERE operation_id = %(id)s AND removed_at IS NULL ORDER BY id"

_DECIDED = "SELECT * FROM steward.operation_decisions WHERE operation_id = %(id)s ORDER BY id"
