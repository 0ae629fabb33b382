"""What the database refuses by itself: whatever would lose a key, forge one, or hide a change."""

from __future__ import annotations

import traceback
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from psycopg import errors as pg

from steward.clients.keyring_errors import KeyringRefused
from steward.fieldcrypt.keyring import State
from tests.integration.fresh_database import superuser
from tests.integration.fresh_keyring import connect
from tests.integration.keyring.ground import key_of, states

pytestmark = pytest.mark.without_search

ORDER = [State.INCOMING, State.CURRENT, State.PREVIOUS, State.RETIRED, State.DESTROYED]
ALLOWED = {*pairwise(ORDER), (State.RETIRED, State.PREVIOUS)}


@pytest.mark.parametrize("origin", ORDER)
@pytest.mark.parametrize("goal", ORDER)
def test_the_database_moves_a_generation_forward_one_state_at_a_time(aged, rows, origin, goal):
    key_id = aged(origin)
    with rows.transaction(force_rollback=True):
        if goal is State.CURRENT and origin is not State.CURRENT:
            rows.execute("UPDATE keyring.generations SET state = 'previous' WHERE state = 'current'")
        statement = "UPDATE keyring.generations SET state = %s WHERE key_id = %s RETURNING state"
        if origin is goal or (origin, goal) in ALLOWED:
            assert rows.execute(statement, (goal.value, key_id)).fetchone() == (goal.value,)
        else:
            with pytest.raises(pg.RaiseException, match=f"goes from {origin} to {goal}"):
                rows.execute(statement, (goal.value, key_id))


@pytest.mark.parametrize("state", [State.INCOMING, State.CURRENT, State.PREVIOUS, State.RETIRED])
def test_the_last_wrap_of_a_living_key_cannot_be_deleted(keyring, aged, rows, tenant, state):
    key_id = aged(state)
    with pytest.raises(pg.RaiseException, match="wrapped by nothing: its key would be lost"):
        rows.execute("DELETE FROM keyring.wraps WHERE key_id = %s", [key_id])
    assert all(one.wraps for one in keyring.load(tenant).generations)


def test_two_that_each_delete_one_of_the_last_two_wraps_do_not_both_succeed(keyring, aged, rows, described, tenant):
    key_id = aged(State.CURRENT)
    rows.execute(
        "INSERT INTO keyring.wraps (key_id, kek, wrapped) SELECT key_id, kek || '0', wrapped FROM keyring.wraps "
        "WHERE key_id = %s",
        [key_id],
    )
    (newer, older) = (wrap.kek for wrap in keyring.load(tenant).generations[0].wraps)
    delete = "DELETE FROM keyring.wraps WHERE key_id = %s AND kek = %s"
    with connect(described.keyring) as other, ThreadPoolExecutor(1) as pool:
        with rows.transaction():
            rows.execute(delete, (key_id, newer))
            waiting = pool.submit(other.execute, delete, (key_id, older))
            with superuser(described) as admin:
                while not admin.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE pid = %s AND wait_event_type = 'Lock'",
                    [other.info.backend_pid],
                ).fetchone()[0]:
                    assert not waiting.done()
        with pytest.raises(pg.RaiseException, match="wrapped by nothing"):
            waiting.result()
    assert [wrap.kek for wrap in keyring.load(tenant).generations[0].wraps] == [older]


@pytest.mark.parametrize(
    "case",
    [
        ("DELETE FROM keyring.generations WHERE key_id = %(key)s", "DELETE of keyring.generations is refused"),
        ("DELETE FROM keyring.tenants WHERE tenant = %(tenant)s", "DELETE of keyring.tenants is refused"),
        ("TRUNCATE keyring.wraps", "TRUNCATE of keyring.wraps is refused"),
        ("TRUNCATE keyring.tenants CASCADE", "is refused"),
        ("UPDATE keyring.wraps SET wrapped = wrapped WHERE key_id = %(key)s", "UPDATE of keyring.wraps is refused"),
        ("UPDATE keyring.generations SET number = 7 WHERE key_id = %(key)s", "only the state changes"),
        ("UPDATE keyring.generations SET tenant = 'b' WHERE key_id = %(key)s", "only the state changes"),
        ("UPDATE keyring.tenants SET tenant = 'b' WHERE tenant = %(tenant)s", "can be erased, once, and nothing else"),
        ("UPDATE keyring.tenants SET erased_at = now() WHERE tenant = %(tenant)s", "of its keys kept"),
        ("INSERT INTO keyring.tenants VALUES (%(tenant)s || 'x')", "would have 0 current generations"),
        (
            "INSERT INTO keyring.generations VALUES (2147483647, %(tenant)s, 2, 'current')",
            "generation 2 of tenant .* begins as current",
        ),
        ("INSERT INTO keyring.generations VALUES (2147483647, %(tenant)s, 3, 'incoming')", "does not follow 1"),
        ("INSERT INTO keyring.generations VALUES (1, %(tenant)s, 2, 'incoming')", r"\(key 1\) .* does not follow 1"),
        ("INSERT INTO keyring.generations VALUES (2147483647, %(tenant)s, 2, 'incoming')", "wrapped by nothing"),
    ],
)
def test_what_would_lose_or_forge_a_key_is_refused_by_the_database(keyring, vault, rows, tenant, case):
    statement, told = case
    keyring.enrol(f"{tenant}-before", vault)
    key = key_of(keyring.enrol(tenant, vault))
    before = keyring.load(tenant)
    with pytest.raises(pg.RaiseException, match=told):
        rows.execute(statement, {"key": key, "tenant": tenant})
    assert keyring.load(tenant) == before


def test_a_generation_is_there_with_its_wrap_or_not_at_all(keyring, vault, rows, tenant, monkeypatch):
    keyring.enrol(tenant, vault)
    monkeypatch.setattr("steward.clients.keyring_rows.INSERT_WRAP", "INSERT INTO keyring.wraps VALUES (%s, %s, %s, 0)")
    with pytest.raises(pg.Error):
        keyring.add_generation(tenant, vault)
    assert states(keyring.load(tenant)) == [State.CURRENT]


def test_every_change_moves_the_epoch_and_is_noted_with_whoever_made_it(keyring, vault, rows, tenant):
    before = keyring.epoch()
    key = key_of(keyring.enrol(tenant, vault))
    keyring.switch(tenant, key_of(keyring.add_generation(tenant, vault), 2))
    keyring.retire(tenant, key)
    keyring.destroy(tenant, key)
    noted = rows.execute(
        "SELECT epoch, change, noted_by FROM keyring.epochs WHERE epoch > %s ORDER BY epoch", [before]
    ).fetchall()
    kek = vault.key("tenants").kid
    assert [change.replace(kek, "KEK").replace(f"key {key}", "key A") for _, change, _ in noted] == [
        "generation 1 (key A) current",
        "generation 1 (key A) wrapped under KEK",
        f"generation 2 (key {key + 1}) incoming",
        f"generation 2 (key {key + 1}) wrapped under KEK",
        "generation 1 (key A) previous",
        f"generation 2 (key {key + 1}) current",
        "generation 1 (key A) retired",
        "generation 1 (key A) no longer wrapped under KEK",
        "generation 1 (key A) destroyed",
    ]
    assert [epoch for epoch, _, _ in noted] == list(range(before + 1, before + 10))
    assert {who for _, _, who in noted} == {"keyring"}
    assert keyring.load(tenant).epoch == before + 9


def test_a_smaller_epoch_never_becomes_visible_after_a_greater_one(keyring, vault, rows, described, tenant):
    first, second = (key_of(keyring.enrol(f"{tenant}-{one}", vault)) for one in "ab")
    retire = "UPDATE keyring.generations SET state = 'previous' WHERE key_id = %s"
    with connect(described.keyring) as other, ThreadPoolExecutor(1) as pool:
        with rows.transaction(force_rollback=True):
            rows.execute(retire, [first])
            waiting = pool.submit(other.execute, "BEGIN; " + retire.replace("%s", str(second)))
            with superuser(described) as admin:
                query = "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %s"
                while admin.execute(query, [other.info.backend_pid]).fetchone() != ("Lock",):
                    assert not waiting.done()
        waiting.result()
        other.rollback()


def test_no_error_says_anything_of_a_wrapped_key(keyring, vault, tenant):
    wrapped = keyring.enrol(tenant, vault).generations[0].wraps[0].wrapped
    forged = "INSERT INTO keyring.wraps (key_id, kek, wrapped) VALUES (0, 'x', %s)"
    with pytest.raises(KeyringRefused, match="violates check constraint") as raised:
        keyring._change(lambda connection: connection.execute(forged, [wrapped]))
    # PostgreSQL itself quotes the beginning of the row.
    assert wrapped.hex()[:16] not in "".join(traceback.format_exception(raised.value))
