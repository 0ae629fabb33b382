"""The ledger on a real PostgreSQL: who holds an operation, what its steps remember, and what is refused."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from replica import inventory
from steward.clients.postgres import DatabaseNotMigrated
from steward.migrations.apply import migrate
from steward.operations import claims
from steward.operations.claims import Identity, Run, Terms, claim
from steward.operations.effects import (
    abandoned_effects,
    dead_effects,
    forget_effects,
    note_effects,
    own_effects,
    removed_effects,
)
from steward.operations.errors import (
    AlreadyEnded,
    DeadlinePassed,
    EffectRefused,
    Held,
    InDoubt,
    NoOperation,
    ResultTooLarge,
    StepChanged,
    StepRepeated,
    Superseded,
    TurnedBack,
)
from steward.operations.holding import guard, holding
from steward.operations.ledger import Ledger
from steward.operations.steps import Doubt, Kind, Step, current_step, run_step
from steward.settings import load
from steward.verdicts import Verdict
from tests.integration.fresh_database import changed, fresh_database

pytestmark = pytest.mark.without_search

NIGHT = Identity("night", "production", "2025-07-31")
AT_ONCE = Terms(wait_seconds=0)
FIRST, SECOND = Run("00000000-0000-0000-0000-000000000001"), Run("00000000-0000-0000-0000-000000000002")


@pytest.fixture(scope="module")
def database(replica):
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield fresh


@pytest.fixture
def book(database):
    book = Ledger(changed(database, "operations", lease_seconds=1.0, heartbeat_seconds=0.2))
    book.query("TRUNCATE steward.operations CASCADE")
    yield book
    book.close()


def lose(book, operation):
    """As a process that was frozen beyond its lease."""
    book.query(
        "UPDATE steward.operations SET lease_until = clock_timestamp() - lease WHERE id = %(id)s", id=operation.id
    )


def step(body=lambda: "made", **options):
    return Step(name="make", body=body, **options)


def counted():
    calls = []

    def body():
        calls.append(None)
        return len(calls)

    return calls, body


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


def test_a_step_that_is_done_gives_its_result_to_the_next_attempt(book):
    calls, body = counted()
    first = claim(book, NIGHT, FIRST)
    with holding(book, first):
        assert run_step(step(body)) == 1
    lose(book, first)
    with holding(book, claim(book, NIGHT, SECOND)):
        assert run_step(step(body)) == 1
    assert len(calls) == 1


def test_a_step_killed_before_its_record_is_done_again(book):
    _calls, body = counted()
    first = claim(book, NIGHT, FIRST)
    with holding(book, first), pytest.raises(KeyboardInterrupt):
        run_step(step(lambda: (body(), interrupt())))
    lose(book, first)
    with holding(book, claim(book, NIGHT, SECOND)):
        assert run_step(step(body)) == 2


def interrupt():
    raise KeyboardInterrupt


def test_a_step_that_finds_its_effect_does_not_make_it_again(book):
    calls, body = counted()
    first = claim(book, NIGHT, FIRST)
    with holding(book, first), pytest.raises(KeyboardInterrupt):
        run_step(step(lambda: (body(), interrupt())))
    lose(book, first)
    with holding(book, claim(book, NIGHT, SECOND)):
        assert run_step(step(body, find=lambda: "found")) == "found"
        assert run_step(step(body, find=lambda: pytest.fail("asked though done"))) == "found"
    assert len(calls) == 1


def test_a_step_in_doubt_stops_for_a_person(book):
    first = claim(book, NIGHT, FIRST)
    with holding(book, first):
        with pytest.raises(ConnectionResetError):
            run_step(step(reset, doubt=Doubt.STOP))
        with pytest.raises(InDoubt, match="nothing tells whether"):
            run_step(step(doubt=Doubt.STOP))


def reset():
    raise ConnectionResetError


def test_a_step_whose_effect_was_refused_is_not_in_doubt(book):
    def refused():
        raise EffectRefused("550 no such mailbox")

    with holding(book, claim(book, NIGHT, FIRST)):
        with pytest.raises(EffectRefused):
            run_step(step(refused, doubt=Doubt.STOP))
        assert run_step(step(doubt=Doubt.STOP)) == "made"


def test_a_step_that_was_not_done_may_be_told_another_state_to_reach(book):
    with holding(book, claim(book, NIGHT, FIRST)):
        with pytest.raises(ConnectionResetError):
            run_step(step(reset, inputs={"weight": 5}))
        assert run_step(step(inputs={"weight": 25})) == "made"


def test_a_step_whose_effect_may_be_there_is_not_told_other_arguments(book):
    with holding(book, claim(book, NIGHT, FIRST)):
        with pytest.raises(ConnectionResetError):
            run_step(step(reset, inputs={"to": "a"}, find=lambda: None))
        with pytest.raises(StepChanged):
            run_step(step(inputs={"to": "b"}, find=lambda: None))


def test_other_arguments_under_an_old_name_are_refused(book):
    with holding(book, claim(book, NIGHT, FIRST)):
        run_step(step(inputs={"tenant": "a"}, caller="1"))
        with pytest.raises(StepChanged):
            run_step(step(inputs={"tenant": "b"}, caller="1"))


def test_two_calls_that_the_key_does_not_tell_apart_are_refused(book):
    with holding(book, claim(book, NIGHT, FIRST)):
        run_step(step(caller="1"))
        assert run_step(step(caller="1")) == "made"
        with pytest.raises(StepRepeated):
            run_step(step(caller="2"))


def test_an_always_step_is_never_taken_as_done(book):
    calls, body = counted()
    with holding(book, claim(book, NIGHT, FIRST)):
        for number in range(3):
            run_step(step(body, kind=Kind.ALWAYS, inputs=number, caller=str(number)))
    assert len(calls) == 3


def test_turned_back_only_undo_always_and_closing_steps_run_in_every_attempt(book):
    undone, undo = counted()
    first = claim(book, NIGHT, FIRST)
    with holding(book, first), claims.turning_back(book, first, "harm seen"):
        run_step(Step("undo", undo, kind=Kind.UNDO))
    lose(book, first)
    second = claim(book, NIGHT, SECOND)
    with holding(book, second):
        with pytest.raises(TurnedBack, match="harm seen"):
            run_step(step())
        run_step(Step("undo", undo, kind=Kind.UNDO))
        run_step(Step("clean", lambda: None, kind=Kind.ALWAYS))
        run_step(Step("close", lambda: None, kind=Kind.CLOSING))
        claims.conclude(book, second, Verdict.REFUTED, None, "harm seen")
    assert len(undone) == 1
    assert book.query("SELECT state FROM steward.operations") == [{"state": "undone"}]


def test_an_undo_step_outside_of_turning_back_is_refused(book):
    with holding(book, claim(book, NIGHT, FIRST)), pytest.raises(TurnedBack, match="outside"):
        run_step(Step("undo", lambda: None, kind=Kind.UNDO))


def test_past_its_deadline_an_operation_cleans_and_closes_and_begins_nothing(book):
    with holding(book, claim(book, NIGHT, FIRST, Terms(deadline_seconds=0))):
        with pytest.raises(DeadlinePassed, match="make is not begun"):
            run_step(step())
        run_step(Step("clean", lambda: None, kind=Kind.ALWAYS))
        run_step(Step("close", lambda: None, kind=Kind.CLOSING))


def test_a_verified_period_is_not_done_again_and_says_what_it_came_to(book):
    first = claim(book, NIGHT, FIRST)
    claims.conclude(book, first, Verdict.VERIFIED, {"documents": 3}, None)
    with pytest.raises(AlreadyEnded, match="night production 2025-07-31 is done VERIFIED since") as ended:
        claim(book, NIGHT, SECOND, AT_ONCE)
    assert ended.value.result == {"documents": 3}


@pytest.mark.parametrize("verdict", [Verdict.REFUTED, Verdict.UNKNOWN])
def test_another_conclusion_may_be_followed_by_another_round_of_another_run(book, verdict):
    _calls, body = counted()
    first = claim(book, NIGHT, FIRST)
    with holding(book, first):
        run_step(step(body))
        claims.conclude(book, first, verdict, None, "a finding")
    with pytest.raises(AlreadyEnded, match="a finding"):
        claim(book, NIGHT, FIRST, AT_ONCE)
    second = claim(book, NIGHT, SECOND, AT_ONCE)
    assert (second.round, second.attempt) == (2, 2)
    with holding(book, second):
        assert run_step(step(body)) == 2


@pytest.mark.parametrize("end", ["done", "undone", "failed"])
def test_a_run_that_was_to_start_before_the_end_repeats_nothing(book, end):
    early, first = datetime.now(UTC), claim(book, NIGHT, FIRST)
    with holding(book, first):
        if end == "undone":
            with claims.turning_back(book, first, "out of stock"):
                pass
        if end == "failed":
            claims.fail(book, first, "SearchAway: no answer")
        else:
            claims.conclude(book, first, Verdict.REFUTED, None, None)
    with pytest.raises(AlreadyEnded, match=f"is {end}"):
        claim(book, NIGHT, replace(SECOND, asked_at=early), AT_ONCE)
    assert claim(book, NIGHT, replace(SECOND, asked_at=datetime.now(UTC)), AT_ONCE).attempt == 2


def test_a_failed_operation_goes_on_with_its_steps(book):
    _calls, body = counted()
    first = claim(book, NIGHT, FIRST)
    with holding(book, first):
        run_step(step(body))
        claims.fail(book, first, "SearchAway: no answer")
    second = claim(book, NIGHT, FIRST, AT_ONCE)
    with holding(book, second):
        assert run_step(step(body)) == 1
    assert second.round == 1


def test_one_that_failed_after_a_person_had_answered_goes_on_by_a_retry_of_its_run(book):
    claims.wait(book, claim(book, NIGHT, FIRST), 3600)
    claims.fail(book, claim(book, NIGHT, FIRST, AT_ONCE), "SearchAway: no answer")
    assert claim(book, NIGHT, FIRST, AT_ONCE).attempt == len(("waited", "failed", "goes on"))


def test_a_run_whose_attempts_were_given_up_does_not_come_back_by_itself(book):
    first = claim(book, NIGHT, FIRST)
    book.query(
        "UPDATE steward.operations SET state = 'failed', ended_at = clock_timestamp() WHERE id = %(id)s", id=first.id
    )
    with pytest.raises(AlreadyEnded):
        claim(book, NIGHT, FIRST, AT_ONCE)
    assert claim(book, NIGHT, SECOND, AT_ONCE).attempt == 2


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


def test_effects_of_a_dead_attempt_at_a_step_are_known_to_the_next(book):
    first = claim(book, NIGHT, FIRST)
    with holding(book, first), pytest.raises(KeyboardInterrupt):
        run_step(step(lambda: (note_effects("index", ["proof-1-a"], {"shards": 2}), interrupt())))
    lose(book, first)
    with holding(book, claim(book, NIGHT, SECOND)):

        def clean_and_make():
            dead = dead_effects("index")
            forget_effects(dead)
            note_effects("index", ["proof-2-a"])
            return [(effect.effect_id, effect.detail) for effect in dead]

        assert run_step(step(clean_and_make)) == [("proof-1-a", {"shards": 2})]
        assert [effect.effect_id for effect in own_effects()] == ["proof-2-a"]


def test_what_a_second_try_makes_again_is_there_again(book):
    with holding(book, claim(book, NIGHT, FIRST)):

        def make():
            forget_effects(dead_effects())
            note_effects("copies", ["proof-1-"], {"try": current_step().tries})
            if current_step().tries == 1:
                reset()

        with pytest.raises(ConnectionResetError):
            run_step(step(make))
        run_step(step(make))
        assert [(effect.effect_id, effect.detail) for effect in own_effects()] == [("proof-1-", {"try": 2})]
        assert removed_effects("copies") == []


def test_effects_of_an_operation_that_ended_for_good_are_left_to_the_next_of_its_kind(book):
    first = claim(book, NIGHT, FIRST)
    with holding(book, first):
        run_step(step(lambda: note_effects("index", ["proof-1-a"])))
        claims.fail(book, first, "gave up")
    with holding(book, claim(book, Identity("night", "production", "2025-08-01"), SECOND)):
        assert [effect.effect_id for effect in abandoned_effects()] == ["proof-1-a"]
        forget_effects(abandoned_effects())
        assert abandoned_effects() == []


def test_a_result_that_belongs_in_a_store_is_refused(book):
    with holding(book, claim(book, NIGHT, FIRST)), pytest.raises(ResultTooLarge):
        run_step(step(lambda: "x" * (5 << 20)))


def test_a_step_outside_of_any_operation_says_what_to_do():
    with pytest.raises(NoOperation, match="put @durable under @flow"):
        run_step(step())


def test_a_database_without_the_ledger_says_to_migrate(settings):
    with fresh_database(settings) as bare, pytest.raises(DatabaseNotMigrated) as refused:
        claim(Ledger(bare), NIGHT)
    assert "python -m steward migrate" in str(refused.value)
