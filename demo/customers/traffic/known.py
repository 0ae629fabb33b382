"""What the users know of the customers: which there are, and what they were told of them last."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from random import Random
from threading import Lock
from uuid import UUID

from demo.customers.users import database, owner
from demo.customers.values import Values
from steward.clients.postgres import connect
from steward.settings import Settings

#: Enough that few requests meet the same row, few enough to be remembered.
MOST_ROWS = 10_000
#: Draws for a row that nobody else changes; with fewer users than rows one does.
_DRAWS = 50

_SAMPLE = """
SELECT id, tenant_id
FROM customers TABLESAMPLE BERNOULLI (
    (SELECT greatest(0.01, least(100, 100.0 * %(most)s / greatest(reltuples, 1))) FROM pg_class WHERE oid = 'customers'::regclass)
)
WHERE tenant_id = ANY(%(tenants)s) LIMIT 2 * %(most)s
"""


@dataclass(slots=True, eq=False)
class Known:
    """A customer. `told` is None until an answer has said what its values are."""

    id: UUID
    tenant: str
    told: Values | None = None
    changes: int = 0
    """Goes up when a change is sent and when it is answered: an answer that came between two equal ones can be judged."""
    busy: bool = False
    """Somebody is changing it, or what became of a change is not known: nobody else changes it, so that its writes have an order."""


class Rows:
    """Safe to use from several threads. Holds at least one tenant, maybe no row."""

    def __init__(self, tenants: Collection[str], rows: Collection[Known] = ()) -> None:
        self._tenants, self._rows = list(tenants), list(rows)
        self._searchable: list[Known] = []
        self._lock = Lock()

    def __len__(self) -> int:
        return len(self._rows)

    def tenant(self, chance: Random) -> str:
        """Any."""
        return chance.choice(self._tenants)

    def any(self, chance: Random) -> Known | None:
        """A row to look at; None where there is none."""
        return chance.choice(self._rows) if self._rows else None

    def one_of_each(self) -> list[Known]:
        """A row of each tenant that has any."""
        return list({row.tenant: row for row in self._rows}.values())

    def searchable(self, chance: Random) -> Known | None:
        """A row whose address is known."""
        return chance.choice(self._searchable) if self._searchable else None

    def take(self, chance: Random) -> Known | None:
        """A row to change, for nobody else until it is given back."""
        for _ in range(_DRAWS):
            row = self.any(chance)
            with self._lock:
                if row and not row.busy:
                    row.busy = True
                    row.changes += 1
                    return row
        return None

    def give_back(self, row: Known, told: Values | None) -> None:
        """After the answer; *told* None where it did not change."""
        with self._lock:
            self._learn(row, told or row.told)
            row.changes += 1
            row.busy = False

    def add(self, row: Known) -> None:
        """A row that was created."""
        with self._lock:
            self._rows.append(row)
            if row.told:
                self._searchable.append(row)

    def learn(self, row: Known, told: Values, changes: int) -> None:
        """What was read, if *row* has not been changed since it had *changes*."""
        with self._lock:
            if row.changes == changes and not row.busy:
                self._learn(row, told)

    def _learn(self, row: Known, told: Values | None) -> None:
        if told and row.told is None:
            self._searchable.append(row)
        row.told = told


def sample(settings: Settings, tenants: Collection[str], most: int = MOST_ROWS) -> Rows:
    """About *most* customers of *tenants*, from all over the table."""
    with connect(database(owner(settings), settings)) as connection:
        found = connection.execute(_SAMPLE, {"most": most, "tenants": list(tenants)}).fetchall()
    return Rows(tenants, [Known(row_id, tenant) for row_id, tenant in found])
