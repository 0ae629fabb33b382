"""Whether everything that the application acknowledged is in its database, can be decrypted, and is found by its index.

    python -m demo.customers.checking LOG

reads STEWARD_SETTINGS; its last line is JSON, and it exits with 1 where anything is lost, unreadable or not found.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from demo.customers.users import application_keys, database, owner
from demo.customers.values import Values
from demo.customers.writelog import read
from steward.clients.postgres import Connection, connect
from steward.clients.tenantkeys import open_tenant_keys
from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.errors import FieldCryptError
from steward.fieldcrypt.tenantkeys import TenantKeys
from steward.settings import Settings, load

TABLE = "customers"
_BATCH = 1000
_STATEMENT_SECONDS = 120


@dataclass
class Expected:
    """Of one row, after all its acknowledged writes."""

    tenant: str
    digest: str
    doubtful: dict[int, str] = field(default_factory=dict[int, str])
    """Digests of later writes, by their numbers, of which no answer came: they may have happened."""


@dataclass(frozen=True)
class Fault:
    """A row that is not as it was acknowledged."""

    tenant: str
    row: UUID
    seen: str


@dataclass
class Checked:
    """What was found. Every list holds one entry a row."""

    acknowledged: int
    rows: int
    lost: list[Fault] = field(default_factory=list[Fault])
    """Not there, or with other values than those acknowledged last."""
    unreadable: list[Fault] = field(default_factory=list[Fault])
    unfound: list[Fault] = field(default_factory=list[Fault])
    """Its blind index is none that a search for its address compares with."""

    @property
    def faultless(self) -> bool:
        """Whether every acknowledged write is there, readable and found."""
        return not (self.lost or self.unreadable or self.unfound)

    def figures(self) -> dict[str, int]:
        """For people and for JSON."""
        faults = {name: len(getattr(self, name)) for name in ("lost", "unreadable", "unfound")}
        return {"acknowledged_writes": self.acknowledged, "rows": self.rows, **faults}


def check_writes(settings: Settings, log: Path, *, erased: Collection[str] = ()) -> Checked:
    """Compare each row that *log* names with its latest acknowledged write; rows of tenants in *erased* are left out.

    Read straight from the database with keys of this process's own. Raises what database, keyring and vault raise.
    """
    acknowledged, expected = expectations(log, erased)
    checked = Checked(acknowledged, len(expected))
    target = database(owner(settings), settings)
    with (
        connect(target, statement_timeout_seconds=_STATEMENT_SECONDS) as connection,
        open_tenant_keys(*application_keys(settings)) as keys,
    ):
        ids = list(expected)
        for start in range(0, len(ids), _BATCH):
            _check(connection, keys, {row: expected[row] for row in ids[start : start + _BATCH]}, checked)
    return checked


def expectations(log: Path, erased: Collection[str] = ()) -> tuple[int, dict[UUID, Expected]]:
    """How many writes were acknowledged, and what follows of each row. One row's writes come one after the other."""
    count, rows = 0, dict[UUID, Expected]()
    before: dict[UUID, dict[int, str]] = {}
    for write in read(log):
        if write.row is None or write.tenant in erased:
            continue
        if write.event == "acknowledged":
            count += 1
            # It settles what was in doubt before.
            before[write.row] = {}
            rows[write.row] = Expected(write.tenant, write.digest, before[write.row])
        elif write.event == "sent":
            before.setdefault(write.row, {})[write.number] = write.digest
        else:
            before.get(write.row, {}).pop(write.number, None)
    return count, rows


def _check(connection: Connection, keys: TenantKeys, expected: Mapping[UUID, Expected], checked: Checked) -> None:
    query = f"SELECT id, tenant_id, email, email_index, born, notes FROM {TABLE} WHERE id = ANY(%s)"  # noqa: S608
    found = {row[0]: row[1:] for row in connection.execute(query, [list(expected)])}
    for row_id, wanted in expected.items():
        if row_id not in found:
            checked.lost.append(Fault(wanted.tenant, row_id, "there is no such row"))
            continue
        tenant, *columns = found[row_id]
        try:
            _compare(FieldCipher(tenant, keys), row_id, columns, wanted, checked)
        except FieldCryptError as error:
            checked.unreadable.append(Fault(tenant, row_id, type(error).__name__))


def _compare(cipher: FieldCipher, row_id: UUID, columns: list[Any], wanted: Expected, checked: Checked) -> None:
    email, index, born, notes = columns
    opened = (
        cipher.decrypt(TABLE, name, row_id, at) for name, at in (("email", email), ("born", born), ("notes", notes))
    )
    values = Values._make(cast("Any", opened))
    if values.digest() not in {wanted.digest, *wanted.doubtful.values()}:
        seen = f"its values have digest {values.digest()}, expected {wanted.digest}"
        checked.lost.append(Fault(cipher.tenant, row_id, seen))
    if index not in cipher.blind_indexes(TABLE, "email", values.email):
        checked.unfound.append(Fault(cipher.tenant, row_id, "its blind index is of another value or key"))


def main(arguments: list[str]) -> int:
    """0 where nothing is lost."""
    checked = check_writes(load(), Path(arguments[0]))
    for name in ("lost", "unreadable", "unfound"):
        for fault in getattr(checked, name):
            print(f"{name}: row {fault.row} of {fault.tenant}: {fault.seen}")
    print(json.dumps(checked.figures()))
    return 0 if checked.faultless else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
