"""Golden rows: planted before keys change, written while they do, read afterwards."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import copy_context

from prefect.logging import get_run_logger

from steward.clients.encrypted_rows import EncryptedRows, open_rows
from steward.clients.encrypted_tables import row_id_kinds
from steward.clients.key_sweeps import KeySweeps
from steward.clients.postgres import connect, open_connection
from steward.errors import StewardError, is_transient
from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.framing import RowId
from steward.fieldcrypt.keyset import KeySet
from steward.keys.columns import EncryptedTable, load_columns
from steward.keys.golden import GOLDEN_TENANT, STILL, WRITTEN, golden_row_id, golden_value, writing_of, written_value
from steward.keys.report import GoldenProof
from steward.keys.request import Plan
from steward.operations.holding import guard
from tasks.durable import operation, step
from tasks.keys_at_hand import at_hand, key_database, key_sweeps

#: Each golden row that is written is written so often: as an application writes, and a burden to nobody.
_WRITE_SECONDS = 0.2


@step("plant golden rows")
def plant_golden_rows(plan: Plan) -> int:
    """Enrol the golden tenant and insert its rows where there are none yet; how many there are."""
    hand = at_hand()
    hand.wrap_under(plan.kek_before)
    hand.keyring.enrol(GOLDEN_TENANT, hand.remembering)
    count = 0
    for application in plan.applications:
        with open_rows(key_database(application)) as rows:
            for table, row_ids in _golden(application):
                for number, row_id in enumerate(row_ids):
                    guard()
                    rows.insert(table, row_id, GOLDEN_TENANT, _sealed(table, row_id, _content(table, number, 0)))
                    count += 1
    return count


@contextmanager
def golden_writes(plan: Plan) -> Generator[None]:
    """Write golden rows while the block runs, each write recorded before it and once it was acknowledged."""
    stopping = threading.Event()
    context = copy_context()
    writing = threading.Thread(
        target=context.run, args=(_write_until, stopping, plan), name="golden-writes", daemon=True
    )
    writing.start()
    try:
        yield
    finally:
        stopping.set()
        writing.join()


def _write_until(stopping: threading.Event, plan: Plan) -> None:
    while not stopping.is_set():
        try:
            _write_all(stopping, plan)
        except StewardError as error:
            if not is_transient(error):
                # Not for this thread to end the rotation: the proof sees what was acknowledged.
                get_run_logger().warning("golden rows are not written any more: %s", error.message)
                return
            stopping.wait(1.0)


def _write_all(stopping: threading.Event, plan: Plan) -> None:
    with contextlib.ExitStack() as opened:
        own = opened.enter_context(open_connection(at_hand().settings, autocommit=True))
        rows = {name: opened.enter_context(open_rows(key_database(name))) for name in plan.applications}
        golden = {name: _golden(name) for name in plan.applications}
        while not stopping.is_set():
            for name in plan.applications:
                sweeps = KeySweeps(own, operation().keys, name)
                for table, row_ids in golden[name]:
                    for number in range(STILL, STILL + WRITTEN):
                        _write(sweeps, rows[name], table, number, row_ids[number])
            stopping.wait(_WRITE_SECONDS)


def _write(sweeps: KeySweeps, rows: EncryptedRows, table: EncryptedTable, number: int, row_id: RowId) -> None:
    guard()
    writing = sweeps.next_write(table.where, number)
    if rows.overwrite(table, row_id, _sealed(table, row_id, _content(table, number, writing))):
        sweeps.write_is_acknowledged(table.where, number, writing)


def prove_golden_rows(application: str, rows: EncryptedRows, so_far: GoldenProof) -> GoldenProof:
    """*so_far*, and what one application's golden rows hold."""
    still, writes, faults = so_far.still, so_far.writes, list(so_far.faults)
    with key_sweeps(application) as sweeps:
        written = sweeps.writes()
    for table, row_ids in _golden(application):
        for number, row_id in enumerate(row_ids):
            content = _read(rows, table, row_id)
            if number < STILL:
                still += 1
                if content != _content(table, number, 0):
                    faults.append(
                        f"golden row {number} of {application}'s {table.where} is not what it was: {_shown(content)}"
                    )
            elif told := written.get((table.where, number)):
                first, acknowledged, intended = told
                writes += max(acknowledged - first + 1, 0)
                if not _holds(content, acknowledged, intended):
                    faults.append(
                        f"golden row {number} of {application}'s {table.where} lost writes: acknowledged up to "
                        f"{acknowledged}, there is {_shown(content)}"
                    )
    return GoldenProof(still=still, writes=writes, faults=faults)


def _holds(content: list[object], acknowledged: int, intended: int) -> bool:
    """Whether every field has the same write, the last acknowledged or one that was on its way."""
    found = {writing_of(value) for value in content}
    write = next(iter(found)) if len(found) == 1 else None
    return write is not None and acknowledged <= write <= intended


def _shown(content: list[object]) -> str:
    return f"writes {[writing_of(value) for value in content]}" if content else "no such row"


def _read(rows: EncryptedRows, table: EncryptedTable, row_id: RowId) -> list[object]:
    cipher, found = _cipher(), rows.by_ids(table, [row_id])
    if not found:
        return []
    sealed = dict(zip(table.sealed_columns, found[0].sealed, strict=True))
    try:
        return [cipher.decrypt(table.name, field.bound_as, row_id, sealed[field.column]) for field in table.fields]
    except StewardError as error:
        return [type(error).__name__]


def _content(table: EncryptedTable, number: int, writing: int) -> list[object]:
    if number < STILL:
        return [golden_value(table, field.column, number) for field in table.fields]
    return [written_value(table, field.column, number, writing) for field in table.fields]


def _sealed(table: EncryptedTable, row_id: RowId, content: list[object]) -> list[bytes | None]:
    cipher, sealed = _cipher(), list[bytes | None]()
    for field, value in zip(table.fields, content, strict=True):
        sealed.append(cipher.encrypt(table.name, field.bound_as, row_id, str(value)))
        if field.index:
            sealed.append(cipher.blind_index(table.name, field.bound_as, str(value)))
    return sealed


def _cipher() -> FieldCipher:
    """The golden tenant's, with its keys as the keyring has them now."""
    return FieldCipher(GOLDEN_TENANT, _Current(at_hand().key_sets([GOLDEN_TENANT])[GOLDEN_TENANT]))


class _Current:
    """One tenant's keys, which were just asked for."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    def of(self, tenant: str) -> KeySet:  # noqa: ARG002  there is one
        return self._keys

    def seek(self, tenant: str, key_id: int) -> KeySet:  # noqa: ARG002  nothing newer is known
        return self._keys

    async def ready(self, tenant: str) -> KeySet:
        return self.of(tenant)

    async def sought(self, tenant: str, key_id: int) -> KeySet:
        return self.seek(tenant, key_id)


def _golden(application: str) -> list[tuple[EncryptedTable, list[RowId]]]:
    tables = load_columns(at_hand().settings.applications[application].encrypted).tables
    with connect(key_database(application)) as connection:
        kinds = [row_id_kinds(connection, table) for table in tables]
    return [
        (table, [golden_row_id(table, kind, number) for number in range(STILL + WRITTEN)])
        for table, kind in zip(tables, kinds, strict=True)
    ]
