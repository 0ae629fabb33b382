"""What is written about costs is so: each error has its cure, each command is taken, and the worked month adds up."""

from __future__ import annotations

import ast
import json
import re
import shlex
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from bench.costs.month import MARKS, WORDS
from steward.__main__ import _parser
from steward.costs.causes import Cause
from steward.costs.period import Period
from steward.costs.planning import ReconciliationRequest
from steward.costs.results import LeftOver
from steward.costs.statements.statement import state
from tests.unit.costs import statement_samples as samples

ROOT = Path(__file__).parents[3]
COSTS = (ROOT / "docs" / "costs.md").read_text()
RUNBOOK = (ROOT / "docs" / "runbooks" / "cost-reconciliation.md").read_text()
MONTH = (ROOT / "docs" / "costs-month.md").read_text()
OURS = [
    *(ROOT / "steward" / "costs").rglob("*.py"),
    *(ROOT / "steward" / "clients").glob("cost*.py"),
    ROOT / "steward" / "clients" / "provider_costs.py",
]
BASES = {"StewardError", "BadInput", "Unavailable", "ProviderUnavailable", "NoAdministration"}
ERRORS = sorted(
    node.name
    for path in OURS
    for node in ast.walk(ast.parse(path.read_text()))
    if isinstance(node, ast.ClassDef) and BASES & {base.id for base in node.bases if isinstance(base, ast.Name)}
)
REQUESTS = re.findall(r"--param 'request=(\{.*?\})'", RUNBOOK)
COMMANDS = re.findall(r"^python -m steward (costs .*)$", RUNBOOK, re.MULTILINE)


@pytest.mark.parametrize("error", ERRORS)
def test_each_error_of_costs_is_in_the_runbook_with_what_to_do(error):
    rows = re.findall(rf"^\|[^|]*`{error}`[^|]*\|([^|]+)\|([^|]+)\|$", RUNBOOK, re.MULTILINE)
    assert rows
    assert all(cell.strip() for row in rows for cell in row)


def test_there_are_errors_at_all():
    assert len(ERRORS) > 15


@pytest.mark.parametrize("request_", REQUESTS)
def test_each_request_of_the_runbook_is_one_that_is_taken(request_):
    ReconciliationRequest.model_validate(json.loads(request_))


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_of_the_runbook_is_one_that_is_taken(command):
    _parser().parse_args(shlex.split(command))


def test_the_runbook_has_commands_and_requests():
    assert len(REQUESTS) >= 4
    assert len(COMMANDS) >= 3


SHARES = (samples.share("0.5"), samples.share("-0.25", hour=1_791_295_200))
LEFT = LeftOver(
    hour=1_791_295_200,
    project="proj_1",
    key="key_1",
    model="sol",
    tier="default",
    context="",
    quantities=(1, 0, 0, 0, 0, 2, 0),
)


def queries(page, file):
    """Of DuckDB, over a file of that name."""
    blocks = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    return [query for block in blocks for query in block.split(";") if f"'{file}'" in query]


def found(query, name, file):
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as database:
        return database.execute(query.replace(name, str(file))).fetchall()


@pytest.mark.parametrize(("shares", "left"), [((), ()), (SHARES, (LEFT,))])
def test_a_day_is_read_in_duckdb_as_the_runbook_says(tmp_path, shares, left):
    day = samples.result(shares=shares, billed="10.3", left=left)
    file = tmp_path / "day.json"
    file.write_bytes(day.to_json())
    ((unexplained, _),) = [row for query in queries(COSTS, "day.json") for row in found(query, "day.json", file)]
    cells, causes = (found(query, "day.json", file) for query in queries(RUNBOOK, "day.json"))
    assert unexplained == day.unexplained
    assert len(cells) == len(left)
    assert sum(row[3] for row in causes) == sum(each.amount for each in shares)


def test_nothing_is_missing_in_a_statement_that_is_added_up_in_duckdb(tmp_path):
    file = tmp_path / "statement.json"
    statement = state(Period.of_month(samples.MONTH), [samples.OPENAI], samples.month())
    file.write_bytes(statement.to_json())
    assert [found(query, "statement.json", file) for query in queries(COSTS, "statement.json")] == [[(0,)]]


def rows():
    """Amount, and what it has come to, of each step of the worked month."""
    table = MONTH.partition(MARKS[0])[2].partition(MARKS[1])[0]
    cells = [line.strip("| ").split(" | ") for line in table.strip().splitlines()[2:]]
    return [(each[0].strip("*"), *(dollars(cell) for cell in each[2:4])) for each in cells]


def dollars(cell):
    return Decimal(cell.replace("$", "").replace(",", "").strip("* |"))


def test_each_step_of_the_worked_month_leads_to_the_next():
    first, *steps = rows()
    so_far = first[2]
    for name, amount, then in steps:
        wanted = amount if name in {"Billed", "To be paid"} else so_far + amount
        # Each is shown in cents, and added up exactly.
        assert abs(then - wanted) <= Decimal("0.02"), name
        so_far = then
    assert len(steps) > 8


def test_every_cause_has_a_sentence_for_who_has_read_no_code():
    assert WORDS.keys() == set(Cause)


def test_the_pages_point_at_what_is_there():
    for page in ("costs.md", "costs-month.md", "runbooks/cost-reconciliation.md"):
        path = ROOT / "docs" / page
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
            assert (path.parent / target).exists(), f"{page}: {target}"
