"""An operation and its resource are held by one; whoever lost them can no longer begin, record or end anything."""

from __future__ import annotations

import threading
import time

import pytest

from steward.clients.postgres import DatabaseNotMigrated
from steward.operations import claims
from steward.operations.claims import Identity, Run, claim
from steward.operations.effects import note_effects
from steward.operations.errors import Held, Superseded
from steward.operations.holding import guard, holding
from steward.operations.ledger import Ledger
from steward.operations.steps import run_step
from steward.verdicts import Verdict
from tests.integration.fresh_database import fresh_database
from tests.integration.operations.ground import AT_ONCE, FIRST, NIGHT, SECOND, lose, step

pytestmark = pytest.mark.without_search


def test_an_operation_is_held_by_one(book):
    first = claim(book, NIGHT, FIRST)
    with holding(book, first), pytest.raises(Held, match=r"attempt 1, run 0{8}"):
        claim(book, NIGHT, SECOND, AT_ONCE)


def test_of_twenty_claims_at_once_one_gets_it(book):
    held, refused = [], []

    def race(number):
        try:
            held.append(claim(book, NIGHT, Run(f"00000000-0000-0000-0000-{number:012}"), AT_ONCE))
        except Held as error:
            refused.append(error)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(held), len(refused)) == (1, 19)


def test_a_resource_is_held_by_one_operation_and_the_other_queues(book):
    claim(book, Identity("night", "a", "1", resource="cluster"), FIRST)
    with pytest.raises(Held, match="its resource cluster is held by night a 1"):
        claim(book, Identity("rotation", "a", "1", resource="cluster"), SECOND, AT_ONCE)
    (queued,) = book.query("SELECT state, due_at FROM steward.operations WHERE name = 'rotation'")
    assert queued["state"] == "due"
    assert queued["due_at"] is not None


def test_an_expired_lease_is_taken_over_with_a_higher_token(book):
    first = claim(book, NIGHT, FIRST)
    lose(book, first)
    second = claim(book, NIGHT, SECOND, AT_ONCE)
    assert (second.id, second.attempt) == (first.id, 2)
    assert second.token > first.token


def test_a_claim_waits_out_a_dead_holders_lease(book):
    claim(book, NIGHT, FIRST)
    assert claim(book, NIGHT, SECOND).attempt == 2


def test_heartbeats_keep_the_lease(book):
    with holding(book, claim(book, NIGHT, FIRST)):
        time.sleep(1.5)
        with pytest.raises(Held):
            claim(book, NIGHT, SECOND, AT_ONCE)


def test_a_stale_holder_can_neither_begin_nor_record_nor_note_nor_end(book):
    first = claim(book, NIGHT, FIRST)
    with holding(book, first) as held:
        held.heartbeat.stop()

        def overtaken():
            lose(book, first)
            claim(book, NIGHT, SECOND, AT_ONCE)
            return "stale"

        with pytest.raises(Superseded, match="no longer current"):
            run_step(step(overtaken))
        with pytest.raises(Superseded):
            run_step(step(key="other"))
        with pytest.raises(Superseded):
            note_effects("index", ["proof-1"])
        with pytest.raises(Superseded):
            claims.conclude(book, first, Verdict.VERIFIED, None, None)
    (recorded,) = book.query("SELECT state, result FROM steward.operation_steps")
    assert recorded == {"state": "intended", "result": None}
    (attempt,) = book.query("SELECT ended, refused FROM steward.operation_attempts WHERE attempt = 1")
    assert attempt == {"ended": "superseded", "refused": 4}


def test_a_woken_holder_is_refused_before_its_late_call(book):
    first = claim(book, NIGHT, FIRST)
    with holding(book, first) as held:
        held.heartbeat.stop()
        guard()
        lose(book, first)
        claim(book, NIGHT, SECOND, AT_ONCE)
        held.heartbeat.safe_until = 0.0
        with pytest.raises(Superseded):
            guard()


def test_waiting_for_a_person_keeps_the_resource_and_needs_no_lease(book):
    first = claim(book, NIGHT, FIRST)
    claims.wait(book, first, 3600)
    time.sleep(1.2)
    with pytest.raises(Held):
        claim(book, Identity("night", "production", "2025-08-01"), SECOND, AT_ONCE)
    assert claim(book, NIGHT, FIRST, AT_ONCE).attempt == 2


def test_a_released_operation_can_be_taken_up_at_once(book):
    claims.release(book, claim(book, NIGHT, FIRST))
    assert claim(book, NIGHT, SECOND, AT_ONCE).attempt == 2


def test_a_database_without_the_ledger_says_to_migrate(settings):
    with fresh_database(settings) as bare, pytest.raises(DatabaseNotMigrated) as refused:
        claim(Ledger(bare), NIGHT)
    assert "python -m steward migrate" in str(refused.value)
