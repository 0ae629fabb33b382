"""Each statement of SQL in the runbook of costs is one that a migrated database takes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from replica import inventory
from steward.clients.postgres import connect
from steward.migrations.apply import migrate
from steward.settings import load
from tests.integration.fresh_database import fresh_database

pytestmark = pytest.mark.without_search

RUNBOOK = (Path(__file__).parents[2] / "docs" / "runbooks" / "cost-reconciliation.md").read_text()
# What has no schema's name before its tables is DuckDB's.
STATEMENTS = [
    each.strip()
    for block in re.findall(r"```sql\n(.*?)```", RUNBOOK, re.DOTALL)
    for each in block.split(";")
    if "steward." in each
]


def test_every_statement_of_the_runbook_is_taken(replica):
    assert len(STATEMENTS) > 8
    with fresh_database(load(inventory.settings_file(replica))) as settings:
        migrate(settings)
        for statement in STATEMENTS:
            with connect(settings) as db:
                db.execute(statement)
