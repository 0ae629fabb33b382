"""A rotation's acts on applications' databases: golden rows, the sweep, the proof."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.logging import get_run_logger

from steward.clients.encrypted_rows import EncryptedRows, open_rows
from steward.clients.encrypted_snapshot import open_snapshot
from steward.clients.latency_probe import probing
from steward.fieldcrypt.keyset import KeySet
from steward.keys.columns import EncryptedTable, load_columns
from steward.keys.errors import ReadersLag, SweepStuck
from steward.keys.moving import RowMover
from steward.keys.pace import Budget, Pace, give_way, percentile
from steward.keys.proof import TableProof, prove_table
from steward.keys.report import GoldenProof, Proof, SweepReport, proved
from steward.keys.request import Plan, Reason, RotationRequest
from steward.keys.sweep import Part, Sweep, Tally, parts_of, side_by_side
from steward.operations.holding import guard
from tasks.durable import operation, step
from tasks.golden_rows import prove_golden_rows
from tasks.keys_at_hand import at_hand, key_database, key_sweeps

#: How many questions of the probe are listened to before anything is swept, and for how long at most.
_QUIET_PROBES, _QUIET_SECONDS = 40, 15.0
#: Rows that move while a pass is under way are found by the next one; each has far fewer than the one before.
_MOST_PASSES = 20
#: Where all that is left is held by others, passes come further and further apart: six minutes for twenty of them.
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 30.0
_POLL_SECONDS = 0.5


@step("wait for transactions", run_name="wait for transactions of {application}", key="{application}")
def await_transactions(application: str, seconds: float) -> float:
    """Until whatever was writing when writers had switched is over: it may hold what the old key encrypted."""
    return _transactions_ended(application, seconds, "nothing is re-encrypted")


@step("wait for last transactions", run_name="wait for last transactions of {application}", key="{application}")
def await_last_transactions(application: str, seconds: float) -> float:
    """The same before keys are destroyed: what is not committed yet would not be counted."""
    return _transactions_ended(application, seconds, "no key is destroyed")


def _transactions_ended(application: str, seconds: float, until_then: str) -> float:
    began = time.monotonic()
    with open_rows(key_database(application)) as rows:
        now = rows.next_transaction()
        while (oldest := rows.oldest_transaction()) <= now:
            if time.monotonic() - began > seconds:
                raise ReadersLag(
                    f"transaction {oldest} of {application} may hold what an old key encrypted, and is still open after "
                    f"{seconds:g} s: {until_then}",
                    hint="see pg_stat_activity for sessions with an old xact_start; the old keys stay until it is over",
                )
            time.sleep(_POLL_SECONDS)
    return time.monotonic() - began


@step("re-encrypt", run_name="re-encrypt {application}", key="{application}")
def reencrypt(application: str, request: RotationRequest, plan: Plan) -> SweepReport:
    """Move every row of the application to its tenant's current key, as fast as the application does not feel."""
    keys = at_hand().key_sets(plan.tenants)
    felt: list[float] = []
    pace = Pace(Budget(0.0, math.inf))

    def listen(milliseconds: float) -> None:
        felt.append(milliseconds)
        pace.felt(milliseconds)

    with probing(application, listen):
        quiet = _quiet(felt)
        hurried = request.reason is Reason.SUSPECTED_COMPROMISE
        pace.budget = Budget(quiet, math.inf if hurried else request.added_milliseconds)
        felt.clear()
        began = time.monotonic()
        swept = _Swept(application, request.threads, keys, pace)
        for table in load_columns(at_hand().settings.applications[application].encrypted).tables:
            swept.sweep(table)
        return SweepReport(
            application=application,
            replaced=swept.before.replaced + swept.here.replaced,
            replaced_here=swept.here.replaced,
            seconds=time.monotonic() - began,
            passes=swept.passes,
            overtaken=swept.before.overtaken + swept.here.overtaken,
            damaged=swept.damaged,
            resting_seconds=swept.here.resting_seconds,
            quiet_milliseconds=quiet,
            felt_milliseconds=percentile(felt, 0.9) if felt else 0.0,
        )


def _quiet(felt: list[float]) -> float:
    """The probe's 90th percentile before anything is swept; a probe that has not begun by then is not waited for longer."""
    began = time.monotonic()
    while len(felt) < _QUIET_PROBES and time.monotonic() - began < _QUIET_SECONDS:
        time.sleep(0.1)
    if not felt:
        get_run_logger().warning(
            "the probe is silent: nobody knows what the application feels, and the sweep goes at half its speed"
        )
    return percentile(felt, 0.9) if felt else 0.0


class _Swept:
    """An application on its way."""

    def __init__(self, application: str, threads: int, keys: Mapping[str, KeySet], pace: Pace) -> None:
        self._application, self._threads, self._keys, self._pace = application, threads, keys, pace
        self._old_ids = frozenset(
            key_id.to_bytes(4, "big") for each in keys.values() for key_id in each.reading if key_id != _current(each)
        )
        self.before, self.here = Tally(), Tally()
        self.passes = self.damaged = 0

    def sweep(self, table: EncryptedTable) -> None:
        """Pass after pass, until nothing is under old keys but what is damaged."""
        if not self._old_ids:
            return
        sweep = Sweep(table, self._old_ids, RowMover(table, self._keys), self._pace, guard)
        for number in range(1, _MOST_PASSES + 1):
            done = self._pass(sweep, number)
            self.passes = max(self.passes, number)
            if self._left(table) == 0:
                return
            if done.replaced == 0 and done.overtaken == 0:
                self.damaged += done.damaged
                return
            if done.replaced == 0:
                time.sleep(min(_FIRST_PAUSE_SECONDS * 2**number, _LONGEST_PAUSE_SECONDS))
        raise SweepStuck(
            f"{self._left(table):,} values of {table.where} are under old keys after {_MOST_PASSES} passes",
            hint="something goes on writing under old keys, or holds these rows for minutes: see pg_stat_activity, and "
            "which processes the keyring's readers list does not name",
        )

    def _pass(self, sweep: Sweep, number: int) -> Tally:
        with open_rows(key_database(self._application)) as rows:
            parts = [part for leaf in rows.leaves(sweep.table) for part in parts_of(leaf, rows.pages(leaf))]
        with key_sweeps(self._application) as sweeps:
            known = sweeps.done()
        done = [known[number, part] for part in parts if (number, part) in known]
        waiting = [part for part in parts if (number, part) not in known]
        before = sum(done, Tally())
        here = side_by_side(
            waiting,
            self._threads,
            lambda: open_rows(key_database(self._application)),
            _Progress(self._application, number, len(parts), len(done), sweep).part,
        )
        self.before, self.here = self.before + before, self.here + here
        return before + here

    def _left(self, table: EncryptedTable) -> int:
        old = {int.from_bytes(key_id, "big") for key_id in self._old_ids}
        with open_rows(key_database(self._application)) as rows:
            rows.flush()
            return sum(count for key_id, count in rows.key_ids(table).items() if key_id in old)


class _Progress:
    """A pass over a table, recorded part by part and shown to people."""

    def __init__(self, application: str, number: int, parts: int, done: int, sweep: Sweep) -> None:
        self._application, self._number, self._parts, self._done = application, number, parts, done
        self._sweep, self._counting = sweep, threading.Lock()
        shown = f"Re-encrypting {sweep.table.where} of {application}, pass {number}"
        self._artifact = _made(
            create_progress_artifact(self._percent(), key="key-rotation-progress", description=shown)
        )

    def part(self, rows: EncryptedRows, part: Part) -> Tally:
        """Go through *part*, then record it."""
        began = time.monotonic()
        tally = self._sweep.part(rows, part)
        with key_sweeps(self._application) as sweeps:
            sweeps.part_is_done(self._number, part, tally, time.monotonic() - began)
        with self._counting:
            self._done += 1
            update_progress_artifact(self._artifact, self._percent())
        return tally

    def _percent(self) -> float:
        return 100.0 * self._done / self._parts if self._parts else 100.0


@step("prove")
def prove_rotation(plan: Plan) -> Proof:
    """Decrypt every row of every application, look values up, and read the golden rows."""
    hand = at_hand()
    found: list[tuple[str, TableProof]] = []
    golden = GoldenProof()
    for application in plan.applications:
        with open_rows(key_database(application)) as rows:
            # What is proved must not be taken back by a crash.
            rows.flush()
            golden = prove_golden_rows(application, rows, golden)
        chosen = random.Random(operation().id)  # noqa: S311  which rows are looked up is no secret
        with open_snapshot(key_database(application)) as snapshot:
            # Asked after the rows: whoever has some of them had keys by then, or was erased.
            keys, erased = hand.key_sets(hand.keyring.tenants()), set(hand.keyring.erased())
            tables = load_columns(hand.settings.applications[application].encrypted).tables
            with ThreadPoolExecutor(1, thread_name_prefix="proof", initializer=give_way) as pool:
                for table in tables:
                    proving = pool.submit(prove_table, table, RowMover(table, keys), erased, snapshot, chosen)
                    found.append((application, proving.result()))
    return proved(found, golden)


def _current(keys: KeySet) -> int:
    return keys.writing.key_id


def _made(artifact: UUID | Coroutine[Any, Any, UUID]) -> UUID:
    # Prefect's signature leaves open what its synchronous form gives.
    assert isinstance(artifact, UUID)  # noqa: S101
    return artifact
