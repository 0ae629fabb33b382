"""The inbox itself: one row a delivery, whoever keeps it, however many at once."""

from __future__ import annotations

import threading
import uuid
from datetime import UTC, datetime

import psycopg
import pytest

from replica import inventory
from steward.clients.postgres import connect
from steward.clients.webhook_inbox import Kept, keep, known
from steward.migrations.apply import migrate
from steward.settings import load
from steward.webhooks import github, signed
from tests.integration.fresh_database import fresh_database
from tests.integration.webhooks_ground import count, deployment, event, from_ci, from_github, raw, rows

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def settings(replica):
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield fresh


def delivery(source="github", payload=None, **headers):
    body = raw(payload or deployment())
    made = {name.lower(): value for name, value in from_github(body, **headers).items()}
    return github.read(source, made, body, now=datetime.now(UTC))


def kept(settings, each, how="received"):
    with connect(settings) as connection:
        return keep(connection, each, how)


def test_what_is_reconciled_is_the_row_that_was_received_and_the_other_way_round(settings):
    payload = deployment()
    received = delivery(payload=payload)
    # As the API tells it: the same payload in other bytes.
    told = delivery(payload={**payload, "a": 1}, X_GitHub_Delivery=received.delivery)
    first = kept(settings, received)
    assert first.is_new
    assert kept(settings, told, "reconciled") == Kept(first.id, is_new=False)
    other = delivery()
    found = kept(settings, other, "reconciled")
    assert found.is_new
    assert kept(settings, other) == Kept(found.id, is_new=False)
    assert [row["how"] for row in rows(settings)[-2:]] == ["received", "reconciled"]


def test_a_repeat_that_fits_two_rows_is_counted_on_the_one_of_its_id(settings):
    one, other = delivery(), delivery()
    first, second = kept(settings, one), kept(settings, other)
    both = github.read(
        "github",
        {"x-github-event": "deployment", "x-github-delivery": other.delivery},
        one.body,
        now=datetime.now(UTC),
    )
    assert kept(settings, both) == Kept(second.id, is_new=False)
    counted = {row["id"]: row["repeats"] for row in rows(settings)}
    assert (counted[first.id], counted[second.id]) == (0, 1)


def test_sources_share_nothing(settings):
    payload = deployment()
    one = delivery("github", payload)
    assert kept(settings, one).is_new
    assert kept(settings, delivery("another", payload, X_GitHub_Delivery=one.delivery)).is_new


def test_the_inbox_tells_which_of_a_sender_s_ids_it_has(settings):
    one = delivery()
    kept(settings, one)
    with connect(settings) as connection:
        assert known(connection, "github", [one.delivery, "never-came"]) == {one.delivery}
        assert known(connection, "another", [one.delivery]) == set()
        assert known(connection, "github", []) == set()


@pytest.mark.parametrize("is_committed", [True, False])
def test_who_comes_second_waits_for_the_first_and_keeps_it_where_that_one_did_not(settings, is_committed):
    before, each, told = count(settings), delivery(), []
    with psycopg.connect(**_parameters(settings)) as first:
        keep(first, each, "received")
        second = threading.Thread(target=lambda: told.append(kept(settings, each)))
        second.start()
        _await_waiting(settings)
        (first.commit if is_committed else first.rollback)()
        second.join()
    assert [one.is_new for one in told] == [not is_committed]
    assert count(settings) == before + 1


def test_a_body_is_not_forgotten_before_anything_was_begun_for_it(settings):
    kept(settings, delivery())
    with pytest.raises(psycopg.errors.CheckViolation), connect(settings) as connection:
        connection.execute("UPDATE steward.webhook_deliveries SET body = NULL WHERE state = 'received'")


@pytest.mark.parametrize(("state", "run"), [("started", None), ("refused", None), ("waiting", uuid.uuid4())])
def test_a_start_is_refused_with_a_reason_or_started_with_a_run(settings, state, run):
    values = {"delivery": kept(settings, delivery()).id, "state": state, "run": run, "done": datetime.now(UTC)}
    with pytest.raises(psycopg.errors.CheckViolation), connect(settings) as connection:
        connection.execute(
            "INSERT INTO steward.webhook_starts (delivery_id, rule, state, run_id, done_at) VALUES (%(delivery)s, "
            "'a rule', %(state)s, %(run)s, CASE %(state)s WHEN 'waiting' THEN NULL ELSE %(done)s::timestamptz END)",
            values,
        )


def test_signed_deliveries_are_kept_by_type_and_id(settings):
    body = raw(event())
    headers = from_ci(body)
    each = signed.read("ci", headers, body)
    assert kept(settings, each).is_new
    again = raw(event())
    assert not kept(settings, signed.read("ci", headers, again)).is_new


def _parameters(settings):
    with connect(settings) as connection:
        info = connection.info
        return {
            "host": info.host,
            "port": info.port,
            "user": info.user,
            "password": info.password,
            "dbname": info.dbname,
        }


def _await_waiting(settings):
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with connect(settings) as connection:
        while connection.execute(waiting).fetchone() == (0,):
            connection.rollback()
