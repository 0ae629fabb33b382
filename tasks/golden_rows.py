"""Golden rows: planted before keys change, written while they do, read afterwards."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import copy_context

from prefect.logging import get_run_logger

from steward.clients.encrypted_rows import EncryptedRows, open_rows
from steward.clients.encrypted_tables import row_id_kinds
from steward.clients.key_sweeps import NO_WRITES, KeySweeps, Writes
from steward.clients.postgres import connect, open_connection
from steward.errors import StewardError, is_transient
from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.framing import RowId
from steward.fieldcrypt.keyset import KeySet
from steward.keys.columns import EncryptedTable, load_columns
from steward.keys.errors import GoldenRowsUnwritten
from steward.keys.golden import GOLDEN_TENANT, STILL, WRITTEN, golden_row_id, golden_value, writing_of, written_value
from steward.keys.report import GoldenProof
from steward.keys.request import Plan
from steward.operations.holding import guard
from tasks.durable import operation, step
from tasks.keys_at_hand import at_hand, key_database, key_sweeps

#: Each golden row that is written is written so often: as an application writes, and a burden to nobody.
_WRITE_SECONDS = 0.2
#: How long one round may take: what a database needs that restarts meanwhile.
ROUND_SECONDS = 60.0
_POLL_SECONDS, _AGAIN_SECONDS = 0.1, 1.0


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
    """Write golden rows while the block runs, each write recorded before it and once it was acknowledged.

    Every row is written before the block begins and once more when it has ended: what nobody wrote, nobody can have
    lost, and its being there would prove nothing.

    Raises:
        GoldenRowsUnwritten: They cannot be written, before the block or at its end.
    """
    writer = _Writer(plan)
    writer.start()
    try:
        writer.await_first_round()
        yield
    except BaseException:
        writer.stop()
        raise
    writer.finish()


class _Writer(threading.Thread):
    """Writes them as an application does: again and again, and through a database's restart."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(name="golden-writes", daemon=True)
        self._plan, self._context = plan, copy_context()
        self._written, self._finishing, self._stopping = (threading.Event() for _ in range(3))
        self._give_up_at = float("inf")
        self._error: Exception | None = None
        self._finished = False

    def run(self) -> None:
        self._context.run(self._until_finished)

    def await_first_round(self) -> None:
        """Until every row was written once."""
        until = time.monotonic() + ROUND_SECONDS
        while self.is_alive() and time.monotonic() < until:
            if self._written.wait(_POLL_SECONDS):
                return
        raise self._unwritten("before any key was switched") from self._error

    def finish(self) -> None:
        """Let it write every row once more, and end."""
        self._give_up_at = time.monotonic() + ROUND_SECONDS
        self._finishing.set()
        self.join()
        if not self._finished:
            raise self._unwritten("to the rotation's end") from self._error

    def stop(self) -> None:
        """Let it end as it is."""
        self._stopping.set()
        self._finishing.set()
        self.join()

    def _unwritten(self, when: str) -> GoldenRowsUnwritten:
        error = self._error
        told = error.message if isinstance(error, StewardError) else f"{type(error).__name__}: {error}"
        return GoldenRowsUnwritten(
            f"golden rows could not be written {when}: {told if error else f'not within {ROUND_SECONDS:g} s'}",
            hint="see what refuses, holds or slows them, then run the rotation again; the old keys stay",
        )

    def _until_finished(self) -> None:
        while not self._finished and not self._stopping.is_set():
            try:
                self._rounds()
            except Exception as error:  # noqa: BLE001  whatever ends this thread, the one that waits for it is told
                self._error = error
                if not is_transient(error) or time.monotonic() > self._give_up_at:
                    get_run_logger().warning("golden rows are not written any more: %s", error)
                    return
                self._stopping.wait(_AGAIN_SECONDS)

    def _rounds(self) -> None:
        with contextlib.ExitStack() as opened:
            own = opened.enter_context(open_connection(at_hand().settings, autocommit=True))
            rows = {name: opened.enter_context(open_rows(key_database(name))) for name in self._plan.applications}
            golden = {name: _golden(name) for name in self._plan.applications}
            while not self._finished and not self._stopping.is_set():
                # The one under way when the rotation is through may have written under the old keys.
                is_last = self._finishing.is_set()
                for name in self._plan.applications:
                    _write_round(KeySweeps(own, operation().keys, name), rows[name], golden[name])
                self._written.set()
                self._error, self._finished = None, is_last
                self._finishing.wait(0 if is_last else _WRITE_SECONDS)


def _write_round(sweeps: KeySweeps, rows: EncryptedRows, golden: list[tuple[EncryptedTable, list[RowId]]]) -> None:
    for table, row_ids in golden:
        for number in range(STILL, STILL + WRITTEN):
            _write(sweeps, rows, table, number, row_ids[number])


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
            else:
                became = written.get((table.where, number), NO_WRITES)
                writes += became.acknowledged
                if not _holds(content, became):
                    faults.append(
                        f"golden row {number} of {application}'s {table.where} lost writes: acknowledged up to "
                        f"{became.last}, there is {_shown(content)}"
                    )
                elif not became.acknowledged:
                    raise GoldenRowsUnwritten(
                        f"no write of golden row {number} of {application}'s {table.where} was acknowledged",
                        hint="nothing is proved by it; run the rotation again, the old keys stay",
                    )
    return GoldenProof(still=still, writes=writes, faults=faults)


def _holds(content: list[object], writes: Writes) -> bool:
    """Whether every field has the same write, the last acknowledged or one that was on its way."""
    found = {writing_of(value) for value in content}
    write = next(iter(found)) if len(found) == 1 else None
    return write is not None and writes.last <= write <= writes.intended


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
