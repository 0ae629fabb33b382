"""What a person decides about an operation: each is recorded with its reason, and refused where it makes no sense."""

from __future__ import annotations

import getpass
import json
import socket
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from steward.errors import BadInput
from steward.operations.errors import UnknownOperation
from steward.operations.ledger import Ledger, Row

_OPEN = ("due", "running", "waiting")


def read_operation(ledger: Ledger, operation_id: int) -> Row:
    """The operation's row. Raises UnknownOperation."""
    rows = ledger.query(_READ, id=operation_id)
    if not rows:
        raise UnknownOperation(
            f"the ledger has no operation {operation_id}", hint="see `python -m steward.operations list`"
        )
    return rows[0]


def named(row: Row) -> str:
    return " ".join(part for part in (row["name"], row["subject"], row["period"]) if part)


def resolve(ledger: Ledger, operation_id: int, step: tuple[str, str], *, happened: bool, result: Any, why: str) -> str:
    """Say whether the effect of *step* (name, key) happened, and let the operation go on. Raises BadInput."""
    operation = read_operation(ledger, operation_id)
    if operation["state"] in ("running", "waiting"):
        raise _still(operation, "resolve")
    if operation["state"] in ("done", "undone", "skipped"):
        raise BadInput(
            f"{_is(operation)}: it does not wait for an answer", hint=f"`reopen {operation_id}` lets it run again"
        )
    row = _doubtful(ledger, operation, *step)
    decision = "happened" if happened else "did not happen"
    _decide(
        ledger,
        _RESOLVE,
        operation,
        decision=decision,
        why=why,
        step=row["name"],
        key=row["key"],
        step_state="done" if happened else "refused",
        result=Jsonb(result) if result is not None else None,
    )
    does = "is taken as done" if happened else "is done again"
    return f"step {_called(row)} of {named(operation)}: {decision}; it {does}. {_goes_on(operation)}"


def reopen(ledger: Ledger, operation_id: int, *, anew: bool, why: str, who: str = "") -> str:
    """Make an operation that ended due again; *anew*: with another round of steps. Raises BadInput.

    *who*: where it is no person.
    """
    operation = read_operation(ledger, operation_id)
    _refuse_reopening(operation, anew=anew)
    _decide(ledger, _REOPEN, operation, decision="reopened", why=why, who=who, anew=anew)
    how = "from its first step" if anew else "at the step that was in flight"
    return f"{named(operation)} was {operation['state']} and is due, {how}. {_goes_on(operation)}"


def cancel(ledger: Ledger, operation_id: int, *, why: str) -> str:
    """End an operation that has not ended; a process that still works for it is refused. Raises BadInput."""
    operation = read_operation(ledger, operation_id)
    if operation["state"] not in _OPEN:
        raise BadInput(f"{_is(operation)}: nothing is left to cancel", hint=f"see `show {operation_id}`")
    _decide(ledger, _CANCEL, operation, decision="cancelled", why=why)
    process = " Its process is refused at its next step; a call that has left it may still land."
    left = _left(ledger, operation)
    return (
        f"{named(operation)} was {operation['state']} and is cancelled."
        + (process if operation["state"] == "running" else "")
        + (f" {left} things it made are left: `show {operation_id}` names them." if left else "")
    )


def _doubtful(ledger: Ledger, operation: Row, name: str, key: str) -> Row:
    rows = ledger.query(_STEPS, id=operation["id"], round=operation["round"])
    for row in rows:
        if (row["name"], row["key"]) == (name, key):
            if row["state"] != "intended":
                raise BadInput(
                    f"step {_called(row)} of {named(operation)} is {row['state']}: nothing is in doubt",
                    hint=f"`reopen {operation['id']} --anew` begins again at the first step",
                )
            return row
    doubtful = ", ".join(_called(row) for row in rows if row["state"] == "intended") or "none"
    raise UnknownOperation(
        f"{named(operation)} has no step {name}{f' with key {key!r}' if key else ''} in round {operation['round']}",
        hint=f"steps that were begun and not ended: {doubtful}",
    )


def _refuse_reopening(operation: Row, *, anew: bool) -> None:
    if operation["state"] in ("running", "waiting"):
        raise _still(operation, "reopen")
    if operation["state"] == "due":
        raise BadInput(f"{_is(operation)} already", hint="the watch starts it when its resource is free")
    if operation["verdict"] == "VERIFIED":
        raise BadInput(f"{_is(operation)}: nothing is left to do", hint="another period is another operation")
    if operation["state"] in ("done", "undone") and not anew:
        raise BadInput(
            f"{_is(operation)}: all its steps are recorded, and would give the same again",
            hint=f"`reopen {operation['id']} --anew` begins another round of steps",
        )


def _still(operation: Row, command: str) -> BadInput:
    how = f"`cancel {operation['id']}` ends it"
    return BadInput(
        f"{_is(operation)}: it cannot be {command}{'d' if command.endswith('e') else 'ed'} before it ends",
        hint=f"if its process is dead the watch takes it up within a minute; {how}",
    )


def _is(operation: Row) -> str:
    return f"{named(operation)} is {' '.join(filter(None, (operation['state'], operation['verdict'])))}"


def _called(row: Row) -> str:
    return f"{row['name']} ({row['key']})" if row["key"] else row["name"]


def _left(ledger: Ledger, operation: Row) -> int:
    return ledger.query(_LEFT, id=operation["id"])[0]["count"]


def _goes_on(operation: Row) -> str:
    if operation["deployment_id"] is None and operation["attempt"]:
        return "Its run had no deployment: start its flow again by hand, with the same parameters."
    return "The watch starts a new run within seconds, as soon as its resource is free."


def _decide(ledger: Ledger, change: LiteralString, operation: Row, *, why: str, who: str = "", **values: Any) -> None:
    """Make the change and its record in one statement, unless the operation has moved on since it was read."""
    if not why.strip():
        raise BadInput("the reason is empty", hint="say in --because what you found: the next person reads it")
    record: Row = {"step": "", "key": "", **values, "why": why, "who": who or _person()}
    keys = {"id": operation["id"], "token": operation["token"], "was": operation["state"]}
    if not ledger.query(change + _RECORD, **record, **keys):
        raise BadInput(
            f"{named(operation)} has changed in this moment; nothing was decided",
            hint=f"see `show {operation['id']}`",
        )


def _person() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


def read_result(text: str | None) -> Any:
    """The value of --result. Raises BadInput."""
    try:
        return None if text is None else json.loads(text)
    except ValueError as error:
        raise BadInput(f"--result is not JSON: {error}", hint="""quote text twice: '"message-17"'""") from None


_READ = "SELECT * FROM steward.operations WHERE id = %(id)s"

_STEPS = "SELECT * FROM steward.operation_steps WHERE operation_id = %(id)s AND round = %(round)s ORDER BY ordinal"

_LEFT = "SELECT count(*) FROM steward.operation_effects WHERE operation_id = %(id)s AND removed_at IS NULL"

_AGAIN = """
       state = 'due', due_at = clock_timestamp(), token = nextval('steward.fencing_tokens'),
       next_run_id = NULL, dispatches = 0, resume_after = NULL,
       verdict = NULL, result = NULL, error = NULL, ended_at = NULL
"""

_RESOLVE: LiteralString = f"""
WITH changed AS (
    UPDATE steward.operations SET {_AGAIN}
     WHERE id = %(id)s AND token = %(token)s AND state = %(was)s RETURNING id, round
), resolved AS (
    UPDATE steward.operation_steps s
       SET state = %(step_state)s, result = %(result)s, error = NULL,
           done_at = CASE WHEN %(step_state)s = 'done' THEN clock_timestamp() END
      FROM changed c
     WHERE s.operation_id = c.id AND s.round = c.round AND s.name = %(step)s AND s.key = %(key)s
)
"""  # noqa: S608  both parts stand in this file

_REOPEN: LiteralString = f"""
WITH changed AS (
    UPDATE steward.operations
       SET round = round + %(anew)s::int,
           turned_back = CASE WHEN NOT %(anew)s THEN turned_back END,
           undone_at = CASE WHEN NOT %(anew)s THEN undone_at END, {_AGAIN}
     WHERE id = %(id)s AND token = %(token)s AND state = %(was)s RETURNING id, round
)
"""  # noqa: S608  both parts stand in this file

_CANCEL = """
WITH changed AS (
    UPDATE steward.operations
       SET state = 'cancelled', token = nextval('steward.fencing_tokens'), ended_at = clock_timestamp(),
           error = 'cancelled: ' || %(why)s, next_run_id = NULL
     WHERE id = %(id)s AND token = %(token)s AND state = %(was)s RETURNING id, round
)
"""

_RECORD = """
INSERT INTO steward.operation_decisions (operation_id, round, decision, step, key, because, decided_by)
SELECT id, round, %(decision)s, %(step)s, %(key)s, %(why)s, %(who)s FROM changed RETURNING id
"""
