"""An operation as another one sees it that waits for it: whichever run carries it at the moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from steward.operations.claims import Identity
from steward.operations.errors import DeadlinePassed
from steward.operations.holding import current, guard
from steward.operations.ledger import Ledger, Row
from steward.verdicts import Verdict


@dataclass(frozen=True)
class Standing:
    """How an operation stands."""

    id: int
    state: str
    verdict: Verdict | None
    result: Any
    error: str | None

    @property
    def is_open(self) -> bool:
        """Whether it may still come to an end by itself: a run is at it, or the reaper makes one."""
        return self.state in ("due", "running", "waiting")


def operation_id_of(ledger: Ledger, identity: Identity) -> int | None:
    """The operation of that identity, if the ledger has it."""
    rows = ledger.query(_BY_IDENTITY, **identity.keys)
    return rows[0]["id"] if rows else None


def operation_id_of_run(ledger: Ledger, flow_run_id: str) -> int | None:
    """The operation that this run has held."""
    rows = ledger.query(_BY_RUN, flow_run_id=flow_run_id)
    return rows[0]["id"] if rows else None


def standing(ledger: Ledger, operation_id: int) -> Standing:
    """How the operation stands now."""
    (row,) = ledger.query(_STANDING, id=operation_id)
    verdict = Verdict(row["verdict"]) if row["verdict"] else None
    return Standing(row["id"], row["state"], verdict, row["result"], row["error"])


def recorded_of(ledger: Ledger, operation_id: int, round_: int, name: str, key: str = "") -> Row | None:
    """The row of a step that is done in a round of that operation, `result` in it; None: it is not done."""
    rows = ledger.query(_RECORDED, id=operation_id, round=round_, name=name, key=key)
    return rows[0] if rows else None


def keep_waiting() -> None:
    """Between two looks of a step that waits for something long. Raises Superseded or DeadlinePassed."""
    guard()
    held = current()
    rows = held.ledger.query(_LATE, **held.operation.keys)
    if rows:
        raise DeadlinePassed(
            f"{held.operation} is past its deadline of {rows[0]['deadline']:%Y-%m-%d %H:%M:%S %Z} and waits no longer",
            hint="a new run has all the time again, and goes on at this step",
        )


def wants_children(ledger: Ledger, operation_id: int, round_: int) -> bool:
    """Whether what a round of the operation has started, and what has not begun, is still to begin."""
    return bool(ledger.query(_WANTS, id=operation_id, round=round_))


_BY_IDENTITY = (
    "SELECT id FROM steward.operations WHERE name = %(name)s AND subject = %(subject)s AND period = %(period)s"
)

_BY_RUN = "SELECT operation_id AS id FROM steward.operation_attempts WHERE flow_run_id = %(flow_run_id)s LIMIT 1"

_STANDING = "SELECT * FROM steward.operations WHERE id = %(id)s"

_RECORDED = """
SELECT * FROM steward.operation_steps
 WHERE operation_id = %(id)s AND round = %(round)s AND name = %(name)s AND key = %(key)s AND state = 'done'
"""

_LATE = "SELECT deadline FROM steward.operations WHERE id = %(id)s AND deadline < clock_timestamp()"

_WANTS = """
SELECT 1 FROM steward.operations
 WHERE id = %(id)s AND round = %(round)s AND state IN ('due', 'running', 'waiting') AND turned_back IS NULL
"""
