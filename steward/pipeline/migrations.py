"""Migrations that can be taken back: what a schema and its rows must be after each way, and who may not lose anything."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from steward.errors import StewardError

Schema = Mapping[str, str]
"""Every object of a database, as `table public.orders` or `column public.orders.id`, with its definition."""

BASE = "base"
"""Alembic's word for the revision before the first."""

# What `alembic current` prints of a revision, between the log's lines.
_REVISION = re.compile(r"^([A-Za-z0-9_.-]+)(?: \((?:head|effective head|mergepoint|branchpoint)\))*$")
# Where Alembic keeps the revision: a table of this one column, whatever its name.
_VERSION_COLUMN = re.compile(r"^column (.+)\.version_num$")
_LONGEST_DEFINITION = 120


class SeveralHeads(StewardError):
    """The migrations have more than one newest revision: none of them is where a release leaves the database."""

    def __init__(self, heads: Iterable[str]) -> None:
        self.heads = tuple(heads)
        super().__init__(
            f"the database is at {len(self.heads)} revisions at once: {', '.join(self.heads)}",
            hint="join them: alembic merge heads",
        )


class TableRows(NamedTuple):
    """What a table holds."""

    columns: tuple[str, ...]
    number: int
    checksum: str


def read_revision(output: str) -> str:
    """The revision that `alembic current` printed; BASE where it printed none. Raises SeveralHeads."""
    found = dict.fromkeys(match[1] for line in output.splitlines() if (match := _REVISION.match(line.strip())))
    if len(found) > 1:
        raise SeveralHeads(found)
    return next(iter(found), BASE)


def without_version_table(schema: Schema) -> Schema:
    """*schema* without the table in which Alembic keeps the revision, which stays when the first migration is taken back."""
    ours = {match[1] for name in schema if (match := _VERSION_COLUMN.match(name)) and _has_one_column(schema, match[1])}
    return {name: definition for name, definition in schema.items() if not ours & _tables_of(name, definition)}


def _has_one_column(schema: Schema, table: str) -> bool:
    return sum(name.startswith(f"column {table}.") for name in schema) == 1


def _tables_of(name: str, definition: str) -> set[str]:
    """The tables that an object is, or is a part of."""
    kind, _, rest = name.partition(" ")
    match kind:
        case "table":
            return {rest}
        case "column":
            return {rest.rpartition(".")[0]}
        case "constraint" | "trigger" | "policy" | "rule":
            return {rest.rpartition(" of ")[2]}
        case "index":
            return set(re.findall(r" ON (?:ONLY )?(\S+) USING ", definition))
        case _:
            return set()


def compare_schemas(before: Schema, after: Schema, when: str) -> list[str]:
    """What *after* differs in from *before*, each object by its name; empty: nothing."""
    return [
        f"{when}: {name} {_difference(before.get(name), after.get(name))}"
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def _difference(before: str | None, after: str | None) -> str:
    if after is None:
        return "is missing"
    if before is None:
        return "is left over"
    return f"is `{_short(after)}`, expected `{_short(before)}`"


def _short(definition: str) -> str:
    line = " ".join(definition.split())
    return line if len(line) <= _LONGEST_DEFINITION else f"{line[: _LONGEST_DEFINITION - 1]}…"


def compare_rows(before: Mapping[str, TableRows], after: Mapping[str, TableRows], when: str) -> list[str]:
    """Tables of *before* whose rows are not what they were. One whose columns differ is the schema's finding, not this one's."""
    return [
        f"{when}: {table} has {_changed_rows(was, now)}"
        for table, was in sorted(before.items())
        if (now := after.get(table)) and now.columns == was.columns and now != was
    ]


def _changed_rows(was: TableRows, now: TableRows) -> str:
    if was.number != now.number:
        return f"{now.number:,} rows, expected {was.number:,}"
    return f"other values in its {was.number:,} rows than before"


def compare_counts(before: Mapping[str, TableRows], after: Mapping[str, TableRows], when: str) -> list[str]:
    """Tables of *before* that are still there and have fewer rows."""
    return [
        f"{when}: {table} has {now.number:,} rows, expected at least {was.number:,}"
        for table, was in sorted(before.items())
        if (now := after.get(table)) and now.number < was.number
    ]


def find_unproved(before: Schema, after: Schema, rows: Mapping[str, TableRows]) -> list[str]:
    """Tables that the migrations change and that had no row: that nothing of them is lost, nobody has seen."""
    changed = [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]
    tables = {
        table
        for name in changed
        for table in _tables_of(name, before.get(name, "")) | _tables_of(name, after.get(name, ""))
    }
    return sorted(table for table in tables if table in rows and rows[table].number == 0)
