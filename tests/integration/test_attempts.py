"""The ledger of attempts: entered before anything is sent, moving forward only, and every concurrent write on disk."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import psycopg
import pytest
from psycopg import errors as pg

from replica import faults, start
from replica.servers import SERVERS
from steward.ai.attempts import Bounds, Ending, Outcome, State
from steward.ai.errors import AttemptEnteredOtherwise, AttemptMissing, AttemptOver, AttemptUnusable
from steward.ai.usage import CLASSES, Usage
from steward.clients import attempts_sql
from steward.clients.attempts import Patience
from steward.clients.attempts_connections import open_for_attempts
from steward.clients.attempts_sweeping import Swept, resolve_unknown
from steward.clients.postgres import DatabaseUnavailable, connect
from steward.migrations.apply import migrate
from tests.integration.attempts_ground import (
    USED,
    asked,
    completed,
    hour_ago,
    past,
    planted,
    rows,
    with_ledger,
    working,
)
from tests.integration.closed_doors import closed_port
from tests.integration.fresh_database import changed, fresh_database
from tests.keyring_ground import query

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def laid(replica):
    from replica import inventory  # noqa: PLC0415
    from steward.settings import load  # noqa: PLC0415

    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield fresh


@pytest.fixture
def book(laid):
    yield laid
    query(laid, "ALTER TABLE steward.ai_attempts DISABLE TRIGGER USER")
    query(laid, "DELETE FROM steward.ai_attempts")
    query(laid, "ALTER TABLE steward.ai_attempts ENABLE ALWAYS TRIGGER guard")
    query(laid, "ALTER TABLE steward.ai_attempts ENABLE ALWAYS TRIGGER append_only")
    query(laid, "DELETE FROM steward.ai_workers")


def test_an_attempt_is_there_before_it_is_sent_and_its_figures_once_it_is_settled(book):
    one = asked(is_stream=True, tier_asked="default")
    told = completed(provider_request_id="req_1", tier_served="priority", prices_version="2026-11", first_token_ms=120)

    async def act(ledger):
        await ledger.reserve(one)
        (before,) = rows(book, "state, sent_at, worker")
        await ledger.sent(one.id)
        (during,) = rows(book, "state, sent_at IS NOT NULL, settled_at")
        await ledger.settle(one.id, told)
        return before == ("reserved", None, ledger.worker), during

    assert with_ledger(book, act) == (True, ("sent", True, None))
    (row,) = rows(
        book, f"state, ending, tenant, tier_asked, tier_served, prices_version, first_token_ms, {', '.join(CLASSES)}"
    )
    assert row[:7] == ("settled", "completed", "acme", "default", "priority", "2026-11", 120)
    assert Usage(*row[7:]) == USED


def test_who_holds_a_ticket_already_enters_and_sends_in_one_commit(book):
    one = asked()

    async def act(ledger):
        await ledger.send(one)
        await ledger.send(one)
        with pytest.raises(AttemptEnteredOtherwise, match="tenant"):
            await ledger.send(replace(one, tenant="globex"))

    with_ledger(book, act)
    assert rows(book, "state, reserved_at = sent_at") == [("sent", True)]


def test_the_same_ending_again_changes_nothing_and_another_is_refused(book):
    one, other = asked(), asked()

    async def act(ledger):
        await ledger.send(one)
        await ledger.settle(one.id, completed())
        await ledger.settle(one.id, completed())
        with pytest.raises(AttemptEnteredOtherwise, match="latency_ms"):
            await ledger.settle(one.id, completed(latency_ms=1))
        with pytest.raises(AttemptOver, match="is settled, and does not become unknown"):
            await ledger.unknown(one.id, Outcome(ending=Ending.CUT))
        with pytest.raises(AttemptMissing):
            await ledger.settle(other.id, completed())
        await ledger.reserve(other)
        await ledger.abort(other.id, "ticket_died")
        with pytest.raises(AttemptOver) as dead:
            await ledger.sent(other.id)
        return dead.value.hint

    assert "not to be sent" in with_ledger(book, act)
    assert rows(book, "state, latency_ms, error_class") == [("settled", 840, None), ("aborted", None, "ticket_died")]


def test_a_thousand_writers_at_once_share_few_commits_and_none_is_lost(book):
    attempts = [asked(ordinal=1 + index % 3) for index in range(1000)]

    async def one(ledger, attempt):
        await ledger.send(attempt)
        await ledger.settle(attempt.id, completed(provider_request_id=f"req-{attempt.id}"))

    async def act(ledger):
        await asyncio.gather(*(one(ledger, attempt) for attempt in attempts))

    with_ledger(book, act)
    assert rows(book, "id") == sorted((attempt.id,) for attempt in attempts)
    assert {state for (state,) in rows(book)} == {"settled"}
    # xmin: the transaction that wrote the row as it stands.
    assert query(book, "SELECT count(DISTINCT xmin::text) < 100 FROM steward.ai_attempts") == [(True,)]


@pytest.mark.parametrize("statement", [attempts_sql.MOVE, attempts_sql.READ])
def test_a_plan_that_is_made_while_the_ledger_is_empty_finds_attempts_by_their_ids(laid, statement):
    async def plan():
        async with await open_for_attempts(laid) as connection:
            # What a kept plan is made for: any values.
            await connection.execute("SET plan_cache_mode = force_generic_plan")
            values = {"rows": "[]", "ids": []}
            return await (await connection.execute(f"EXPLAIN {statement}", values)).fetchall()

    told = "\n".join(row["QUERY PLAN"] for row in asyncio.run(plan()))
    assert "Index Scan using ai_attempts_pkey" in told
    assert "Seq Scan" not in told


def test_one_refused_row_of_a_batch_keeps_no_other_from_the_ledger(book):
    attempts = [asked() for _ in range(20)]

    async def act(ledger):
        await asyncio.gather(*(ledger.send(each) for each in attempts))
        outcomes = [completed(provider_request_id="req-same") for _ in attempts]
        await asyncio.gather(*(ledger.settle(each.id, told) for each, told in zip(attempts, outcomes, strict=True)))

    with_ledger(book, act)
    assert {state for (state,) in rows(book)} == {"settled"}
    assert query(book, "SELECT count(provider_request_id), count(repeated_request_id) FROM steward.ai_attempts") == [
        (1, 19)
    ]


def test_what_was_entered_for_a_caller_that_left_meanwhile_is_aborted(book):
    attempts = [asked() for _ in range(5)]

    async def act(ledger):
        tasks = [asyncio.create_task(ledger.send(each)) for each in attempts]
        # Each has handed its row over, and waits for the commit.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for task in tasks[1:]:
            task.cancel()
        return [type(each).__name__ for each in await asyncio.gather(*tasks, return_exceptions=True)]

    assert with_ledger(book, act) == ["NoneType", *["CancelledError"] * 4]
    assert dict(rows(book, "id, state")) == {each.id: "aborted" for each in attempts[1:]} | {attempts[0].id: "sent"}
    assert {told for (told,) in rows(book, "error_class", "state = 'aborted'")} == {"withdrawn"}


def test_an_estimate_keeps_its_bounds(book):
    one = asked()
    cut = Outcome(ending=Ending.CUT, usage=Usage(input_uncached=900, output=31), bounds=Bounds(900, 900, 31, 400))

    async def act(ledger):
        await ledger.send(one)
        await ledger.settle(one.id, cut)

    with_ledger(book, act)
    assert rows(book, "is_estimate, input_low, input_high, output_low, output, output_high") == [
        (True, 900, 900, 31, 31, 400)
    ]


def test_what_is_unknown_may_still_be_settled(book):
    one = asked()

    async def act(ledger):
        await ledger.send(one)
        await ledger.unknown(one.id, Outcome(ending=Ending.TIMED_OUT, latency_ms=60_000, error_class="read_timeout"))
        (before,) = rows(book, "state, unknown_at IS NOT NULL, settled_at, latency_ms")
        await ledger.settle(one.id, completed())
        return before

    assert with_ledger(book, act) == ("unknown", True, None, 60_000)
    assert rows(book, "state, unknown_at IS NOT NULL, settled_at IS NOT NULL") == [("settled", True, True)]


SETTLED = "state = 'settled', ending = 'completed', " + ", ".join(f"{name} = 0" for name in CLASSES)


@pytest.mark.parametrize(
    ("state", "change"),
    [
        ("reserved", "state = 'unknown', ending = 'lost'"),
        ("reserved", SETTLED),
        ("sent", "state = 'reserved'"),
        ("sent", "state = 'settled', ending = 'completed'"),
        ("sent", "state = 'unknown', ending = 'lost', output = 1"),
        ("sent", "state = 'aborted'"),
        ("sent", "state = 'aborted', ending = 'not_sent', tenant = 'globex'"),
        ("sent", "state = 'aborted', ending = 'not_sent', reserved_output = 1"),
        ("sent", SETTLED.replace("reasoning = 0", "reasoning = 1")),
        ("sent", SETTLED + ", error_class = 'please summarise this'"),
        ("settled", "output = 10"),
        ("settled", "state = 'aborted', ending = 'not_sent'"),
        ("aborted", "state = 'sent'"),
        ("unknown", "state = 'sent', ending = NULL"),
    ],
)
def test_the_database_itself_refuses_whatever_does_not_move_forward(book, state, change):
    planted(book, 0, count=1, state=state)
    with pytest.raises((pg.RestrictViolation, pg.CheckViolation)), connect(book) as db:
        # No client of ours: whoever may write there.
        db.execute(f"UPDATE steward.ai_attempts SET {change}")  # noqa: S608  the test's own words
    assert rows(book) == [(state,)]


@pytest.mark.parametrize("statement", ["DELETE FROM steward.ai_attempts", "TRUNCATE steward.ai_attempts"])
def test_no_attempt_is_taken_back(book, statement):
    planted(book, 0, count=1)
    with pytest.raises(pg.RestrictViolation, match="append-only"), connect(book) as db:
        db.execute(statement)


def test_times_are_the_databases_whatever_a_client_says(book):
    with connect(book) as db:
        db.execute("""
            INSERT INTO steward.ai_attempts (id, request, ordinal, worker, tenant, key_id, provider, account,
                credential_version, alias, model_asked, is_stream, reserved_input, reserved_output, state, reserved_at)
            SELECT gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), 't', 'k', 'p', 'a', 'v', 'a', 'm', false,
                0, 0, 'sent', now() - interval '5 hours'
        """)
    assert rows(book, "reserved_at > now() - interval '1 minute', sent_at = reserved_at") == [(True, True)]


def test_the_sweeper_takes_what_a_dead_worker_left_and_nothing_of_a_living_one(book):
    mine, unsent, others = asked(), asked(), asked()

    async def act(ledger):
        async with working(book, "gateway-2") as dying:
            await dying.send(others)
            # It dies: nobody renews its lease, and nobody ends it.
            dying._lease.end = _nothing
            query(book, "UPDATE steward.ai_workers SET lease_until = now() WHERE name = 'gateway-2'")
        await ledger.send(mine)
        await ledger.reserve(unsent)
        swept = await asyncio.to_thread(resolve_unknown, book)
        # It was only late, and tells what it knows all the same.
        await ledger.settle(others.id, completed())
        return swept

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("steward.clients.attempts_workers.LEASE_SECONDS", 0.5)
        assert with_ledger(book, act) == Swept(unknown=1, aborted=0)
    assert dict(rows(book, "id, state")) == {mine.id: "sent", unsent.id: "reserved", others.id: "settled"}
    # The worker has ended in good order: what it left open is nobody's now.
    assert resolve_unknown(book) == Swept(unknown=1, aborted=1)
    assert resolve_unknown(book) == Swept()


async def _nothing():
    return None


def test_what_is_too_old_is_swept_even_of_a_living_worker(book):
    one, two = asked(), asked()

    async def act(ledger):
        await ledger.send(one)
        await ledger.reserve(two)
        past(book, ("UPDATE steward.ai_attempts SET reserved_at = %s", (hour_ago(1),)))
        return await asyncio.to_thread(resolve_unknown, book)

    assert with_ledger(book, act) == Swept(unknown=1, aborted=1)
    assert sorted(rows(book, "state, ending")) == [("aborted", "not_sent"), ("unknown", "lost")]


def test_workers_of_long_ago_are_forgotten_and_others_are_not(book):
    with_ledger(book, _stay, name="long-gone")
    query(book, "UPDATE steward.ai_workers SET ended_at = now() - interval '31 days', lease_until = ended_at")
    query(book, "UPDATE steward.ai_workers SET lease_until = ended_at")
    with_ledger(book, _stay, name="gone")
    resolve_unknown(book)
    assert query(book, "SELECT name FROM steward.ai_workers") == [("gone",)]


async def _stay(_ledger):
    return None


def test_nothing_is_sent_while_the_ledger_is_away_and_the_caller_is_told_in_time(book):
    async def act(ledger):
        away = changed(book, "postgres", url=f"postgresql://steward@127.0.0.1:{closed_port()}/steward")
        ledger._settings = away
        with pytest.raises(DatabaseUnavailable):
            await ledger.send(asked())

    with_ledger(book, act, patience=Patience(before=0.2, after=0.2))
    assert rows(book) == []


def test_a_killed_database_loses_nothing_that_was_acknowledged_and_doubles_nothing(book, replica):
    attempts = [asked() for _ in range(300)]

    async def one(ledger, attempt, first):
        await ledger.send(attempt)
        first.set()
        await ledger.settle(attempt.id, completed(provider_request_id=f"req-{attempt.id}"))

    def killed():
        faults.kill(replica.state, "postgres")
        start.up(replica.state, SERVERS, ["postgres"])

    async def act(ledger):
        first = asyncio.Event()
        writing = [asyncio.create_task(one(ledger, attempt, first)) for attempt in attempts[:150]]
        await first.wait()
        rest = (one(ledger, attempt, first) for attempt in attempts[150:])
        await asyncio.gather(asyncio.to_thread(killed), *writing, *rest)

    with_ledger(book, act, patience=Patience(before=60, after=60))
    assert {id_ for (id_,) in rows(book, "id", "state = 'settled'")} == {each.id for each in attempts}


def test_content_fits_nowhere(book):
    for name in ("alias", "model_asked", "project", "key_id"):
        with pytest.raises(AttemptUnusable) as refused:
            asked(**{name: "please summarise this"})
        assert "summarise" not in str(refused.value)
    with pytest.raises(pg.CheckViolation), connect(book) as db:
        db.execute("SELECT 'two words'::steward.ai_name")


def test_each_state_has_an_ending_of_its_own(book):
    with pytest.raises(psycopg.errors.RestrictViolation), connect(book) as db:
        db.execute("""
            INSERT INTO steward.ai_attempts (id, request, ordinal, worker, tenant, key_id, provider, account,
                credential_version, alias, model_asked, is_stream, reserved_input, reserved_output, state, ending)
            SELECT gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), 't', 'k', 'p', 'a', 'v', 'a', 'm', false,
                0, 0, 'aborted', 'not_sent'
        """)
    assert {state.value for state in State} == {"reserved", "sent", "settled", "aborted", "unknown"}
