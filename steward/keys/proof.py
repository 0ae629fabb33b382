"""The proof: every row of every table, decrypted from one moment of the database, and searched for as applications do."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from steward.fieldcrypt.framing import RowId
from steward.keys.columns import EncryptedField, EncryptedTable
from steward.keys.moving import Checked, Damaged, Row, RowMover

#: Values of each tenant and searchable column that are looked up.
LOOKED_UP = 3
#: Damaged values that are named; the rest is counted.
NAMED = 100


class Snapshot(Protocol):
    """The rows of a table at one moment."""

    def all(self, table: EncryptedTable) -> Iterable[Any]:
        """Every row."""
        ...

    def having(self, table: EncryptedTable, field: EncryptedField, tenant: str, indexes: list[bytes]) -> set[RowId]:
        """Row ids that the blind index finds, through the database's own index where there is one."""
        ...

    def scanned(
        self, table: EncryptedTable, field: EncryptedField, indexes: list[bytes]
    ) -> dict[tuple[str, bytes], set[RowId]]:
        """Row ids by (tenant, blind index), by reading every row and no index of the database."""
        ...


@dataclass
class TableProof:
    """What was found in one table."""

    table: str
    rows: int = 0
    values: int = 0
    erased: int = 0
    """Rows of tenants that were erased: noise, for ever."""
    below: Counter[str] = field(default_factory=Counter)
    """Rows under another than the current generation, by tenant."""
    damaged: Counter[str] = field(default_factory=Counter)
    """Damaged values, by tenant."""
    named: list[Damaged] = field(default_factory=list)
    by_tenant: Counter[str] = field(default_factory=Counter)
    """Rows, by tenant."""
    lookups: int = 0
    wrong_lookups: Counter[str] = field(default_factory=Counter)
    """Look-ups that did not find exactly the rows of that value, by tenant."""

    @property
    def refuted(self) -> set[str]:
        """Tenants with a finding."""
        return {*self.below, *self.damaged, *self.wrong_lookups}


def prove_table(
    table: EncryptedTable,
    mover: RowMover,
    erased: Collection[str],
    snapshot: Snapshot,
    chosen: random.Random,
    *,
    on_row: Callable[[], None] = lambda: None,
) -> TableProof:
    """Decrypt every row, compare each blind index with its value's, then look a sample of the values up."""
    proof, samples = TableProof(table.where), _Samples(table, chosen)
    for row in snapshot.all(table):
        on_row()
        if row.tenant in erased:
            proof.erased += 1
            continue
        checked = mover.checked(row)
        _count(proof, row, checked)
        if not checked.damaged and not checked.below:
            samples.offer(row)
    for number, column in enumerate(table.fields):
        if column.index:
            _look_up(proof, table, column, samples.of(number), snapshot)
    return proof


def _count(proof: TableProof, row: Row, checked: Checked) -> None:
    proof.rows += 1
    proof.by_tenant[row.tenant] += 1
    proof.values += sum(opened is not None for opened in checked.opened)
    if checked.below:
        proof.below[row.tenant] += 1
    if checked.damaged:
        proof.damaged[row.tenant] += len(checked.damaged)
        proof.named += checked.damaged[: max(NAMED - len(proof.named), 0)]


def _look_up(
    proof: TableProof,
    table: EncryptedTable,
    column: EncryptedField,
    sample: list[tuple[str, bytes]],
    snapshot: Snapshot,
) -> None:
    scanned = snapshot.scanned(table, column, [index for _, index in sample])
    for tenant, index in sample:
        proof.lookups += 1
        if snapshot.having(table, column, tenant, [index]) != scanned.get((tenant, index), set()):
            proof.wrong_lookups[tenant] += 1


class _Samples:
    """A few blind indexes of each tenant and searchable column, any row of a tenant's as likely as another."""

    def __init__(self, table: EncryptedTable, chosen: random.Random) -> None:
        self._chosen = chosen
        self._kept: dict[tuple[int, str], list[bytes]] = {}
        self._seen: Counter[tuple[int, str]] = Counter()
        self._places: list[tuple[int, int]] = []
        at = 0
        for number, column in enumerate(table.fields):
            if column.index:
                self._places.append((number, at + 1))
            at += 2 if column.index else 1

    def offer(self, row: Row) -> None:
        for number, at in self._places:
            if (index := row.sealed[at]) is not None:
                self._keep((number, row.tenant), index)

    def of(self, number: int) -> list[tuple[str, bytes]]:
        return [(tenant, index) for (of, tenant), each in self._kept.items() if of == number for index in set(each)]

    def _keep(self, place: tuple[int, str], index: bytes) -> None:
        """Reservoir sampling (Vitter's algorithm R)."""
        self._seen[place] += 1
        kept = self._kept.setdefault(place, [])
        if len(kept) < LOOKED_UP:
            kept.append(index)
        elif (at := self._chosen.randrange(self._seen[place])) < LOOKED_UP:
            kept[at] = index
