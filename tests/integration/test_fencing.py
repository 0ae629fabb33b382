"""Fencing: a stale holder's write is refused in its own transaction, and kept from leaving towards other servers."""

import secrets
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import EndpointConnectionError

from replica import inventory
from steward.clients.elasticsearch import open_search
from steward.clients.elasticsearch_errors import SearchAway
from steward.clients.postgres import connect
from steward.clients.s3 import ObjectMissing, ObjectStoreUnavailable, open_evidence_bucket
from steward.migrations.apply import migrate
from steward.operations.claims import Identity, Run, Terms, claim
from steward.operations.errors import NoOperation, Superseded
from steward.operations.fencing import fence
from steward.operations.holding import guard, holding
from steward.operations.ledger import Ledger
from steward.operations.steps import Step, run_step
from steward.settings import load
from tests.integration.closed_doors import closed_port
from tests.integration.fresh_database import changed, fresh_database

pytestmark = pytest.mark.without_search

NIGHT = Identity("night", "production", "2025-07-31")
FIRST, SECOND = Run("00000000-0000-0000-0000-000000000001"), Run("00000000-0000-0000-0000-000000000002")


@pytest.fixture(scope="module")
def database(replica):
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        with connect(fresh) as db:
            db.execute("CREATE TABLE public.weights (name text PRIMARY KEY, weight integer)")
        yield changed(fresh, "operations", lease_seconds=1.0, heartbeat_seconds=0.2)


@pytest.fixture
def book(database):
    book = Ledger(database)
    book.query("TRUNCATE steward.operations, steward.operation_attempts, steward.operation_steps CASCADE")
    book.query("TRUNCATE public.weights")
    yield book
    book.close()


@pytest.fixture
def stale(book):
    """Held by a process that was frozen, and has been overtaken without knowing."""
    first = claim(book, NIGHT, FIRST)
    with holding(book, first) as held:
        held.heartbeat.stop()
        overtake(book, first)
        held.heartbeat.safe_until = 0.0
        yield held


def overtake(book, operation):
    book.query("UPDATE steward.operations SET lease_until = now() - lease WHERE id = %(id)s", id=operation.id)
    return claim(book, NIGHT, SECOND, Terms(wait_seconds=0))


def set_weight(settings, weight):
    with connect(settings) as db:
        fence(db)
        db.execute(
            "INSERT INTO public.weights VALUES ('a', %s) ON CONFLICT (name) DO UPDATE SET weight = %s", [weight] * 2
        )


def weights(book):
    return [row["weight"] for row in book.query("SELECT weight FROM public.weights")]


def test_the_holders_transaction_commits(book, database):
    with holding(book, claim(book, NIGHT, FIRST)):
        set_weight(database, 25)
    assert weights(book) == [25]


def test_a_stale_holders_transaction_changes_nothing(stale, book, database):
    with pytest.raises(Superseded, match="no longer current"):
        set_weight(database, 25)
    assert weights(book) == []


def test_nobody_takes_over_between_the_fence_and_the_commit(book, database):
    first = claim(book, NIGHT, FIRST)
    taken = []
    with holding(book, first) as held:
        held.heartbeat.stop()
        thread = threading.Thread(target=lambda: taken.append((overtake(book, first), weights(book))))
        with connect(database) as db:
            fence(db)
            thread.start()
            time.sleep(0.5)
            assert taken == []
            db.execute("INSERT INTO public.weights VALUES ('a', 25)")
        thread.join()
    [(second, seen)] = taken
    assert (second.attempt, seen) == (2, [25])


def test_a_fence_outside_of_any_operation_is_refused(database):
    with connect(database) as db, pytest.raises(NoOperation):
        fence(db)


def test_what_this_process_has_given_up_no_thread_of_it_begins(book):
    with holding(book, claim(book, NIGHT, FIRST)) as held:
        held.heartbeat.give_up()
        with pytest.raises(Superseded, match="given up by this process"):
            run_step(Step("make", lambda: pytest.fail("begun")))


@pytest.fixture
def nowhere(settings):
    """A cluster of two nodes, neither of which is there."""
    described = settings.cluster("production").model_copy(
        update={"hosts": [f"https://127.0.0.1:{closed_port()}" for _ in range(2)]}
    )
    return settings.model_copy(update={"search": {"production": described}})


def test_a_search_client_asks_before_each_write_that_is_sent_and_before_no_read(nowhere):
    asked = []
    with open_search(nowhere, "production", "snapshot", before_write=lambda: asked.append(1)) as client:
        with pytest.raises(SearchAway):
            client.request("GET", "/_snapshot")
        assert asked == []
        with pytest.raises(SearchAway):
            client.request("PUT", "/_snapshot/nightly/a")
    # Both nodes, more than once: below the transport's own retries.
    assert len(asked) > 2


def test_a_stale_holders_write_does_not_leave_for_a_cluster_even_from_a_thread(stale, nowhere):
    raised = []

    def write():
        try:
            client.request("DELETE", "/_snapshot/nightly/a")
        except Superseded as error:
            raised.append(error)

    with open_search(nowhere, "production", "snapshot", before_write=guard) as client:
        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(raised) == 4


def test_a_stale_holders_object_does_not_leave_for_the_store(stale, settings):
    key, until = f"tests/{secrets.token_hex(8)}", datetime.now(UTC) + timedelta(minutes=1)
    with open_evidence_bucket(settings, before_write=guard) as bucket:
        with pytest.raises(Superseded):
            bucket.put_once(key, b"stale", locked_until=until)
        with pytest.raises(ObjectMissing):
            bucket.get(key)


def test_the_holders_object_is_stored(book, settings):
    key, until = f"tests/{secrets.token_hex(8)}", datetime.now(UTC) + timedelta(minutes=1)
    with (
        holding(book, claim(book, NIGHT, FIRST)),
        open_evidence_bucket(settings, before_write=guard) as bucket,
    ):
        assert bucket.put_once(key, b"current", locked_until=until).body == b"current"


def test_an_object_store_client_asks_at_every_try(settings):
    asked, until = [], datetime.now(UTC) + timedelta(minutes=1)
    with open_evidence_bucket(settings, before_write=lambda: asked.append(1)) as bucket:
        assert asked == []
        bucket.client.meta.events.register_last("before-send.s3", away)
        with pytest.raises(ObjectStoreUnavailable):
            bucket.put_once("tests/away", b"", locked_until=until)
    assert len(asked) == 3


def away(request, **_event):
    if request.method == "PUT":
        raise EndpointConnectionError(endpoint_url=request.url)
