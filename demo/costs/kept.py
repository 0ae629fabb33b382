"""Where everything lies that a statement of costs has left: itself, its picture, its FOCUS files, its evidence."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from demo.stage import Stage
from steward.clients.cost_book import latest_statement
from steward.clients.cost_pages import load_result
from steward.clients.postgres import connect
from steward.clients.s3 import open_evidence_bucket
from steward.costs.kept import ALL
from steward.costs.period import Period
from steward.costs.statements.statement import Statement
from steward.costs.statements.waterfall import draw_waterfall
from steward.errors import StewardError

OPERATION = "cost-reconciliation"


class NothingKept(StewardError):
    """The month has no statement, or its statement no evidence."""


def statement_of(stage: Stage, month: str) -> Statement:
    """The newest of all accounts' *month*, as it lies under Object Lock."""
    period = Period.of_month(month)
    with connect(stage.settings) as db:
        found = latest_statement(db, ALL, period.first, period.last)
    if found is None:
        raise NothingKept(f"{month} has no statement", hint="read the run's logs in the Prefect UI")
    with open_evidence_bucket(stage.settings) as objects:
        return Statement.from_json(load_result(objects, found.result))


def draw(statement: Statement, file: Path) -> None:
    """The way from the ledger to the bill, as a picture."""
    file.write_text(draw_waterfall(statement))


def evidence_of(stage: Stage, month: str) -> Iterator[str]:
    """The newest signed statement of *month* in lines: its id, what it is about, and under which hashes."""
    subject = f"{ALL} {month}"
    recorded = _told(stage, "list", "--operation", OPERATION, "--subject", subject, "--limit", "1")
    if not recorded:
        raise NothingKept(f"{subject} has no evidence", hint="read the run's logs in the Prefect UI")
    digest = recorded[0]["digest"]
    shown = _told(stage, "show", digest)
    yield f"evidence {digest[:12]}: {shown['verdict']}, signature {shown['signature']}"
    for each in shown["statement"]["subject"]:
        yield f"  {each['name']}"


def _told(stage: Stage, *arguments: str) -> Any:
    command = (sys.executable, "-m", "steward.evidence", *arguments, "--json")
    return json.loads("\n".join(stage.shell.lines("evidence", *command)))
