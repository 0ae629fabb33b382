"""Generations live through their states, in turn; each change may be asked for again, and an erasure is for ever."""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg import errors as pg

from steward.clients.keyring_errors import KeyringRefused
from steward.fieldcrypt.errors import KeyringTampered, TenantErased
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.masterkey import open_sealed
from tests.integration.keyring.ground import key_of, states

pytestmark = pytest.mark.without_search


def test_two_that_add_a_generation_at_once_make_one(keyring, vault, tenant):
    keyring.enrol(tenant, vault)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: keyring.add_generation(tenant, vault), range(4)))
    assert states(keyring.load(tenant)) == [State.CURRENT, State.INCOMING]


def test_key_ids_name_one_tenant_only_and_rise(keyring, vault):
    ids = [key_of(keyring.enrol(f"{secrets.token_hex(6)}", vault)) for _ in range(3)]
    assert ids == sorted(set(ids))


def test_a_generation_lives_through_its_states(keyring, vault, tenant):
    first = key_of(keyring.enrol(tenant, vault))
    second = key_of(keyring.add_generation(tenant, vault), 2)
    assert states(keyring.switch(tenant, second)) == [State.PREVIOUS, State.CURRENT]
    assert states(keyring.retire(tenant, first)) == [State.RETIRED, State.CURRENT]
    assert states(keyring.reinstate(tenant, first)) == [State.PREVIOUS, State.CURRENT]
    keyring.retire(tenant, first)
    destroyed = keyring.destroy(tenant, first).generations[0]
    assert (destroyed.state, destroyed.wraps) == (State.DESTROYED, ())


@pytest.mark.parametrize(
    ("change", "state"),
    [
        ("switch", State.CURRENT),
        ("retire", State.RETIRED),
        ("reinstate", State.PREVIOUS),
        ("destroy", State.DESTROYED),
    ],
)
def test_every_change_may_be_asked_for_again(keyring, aged, tenant, change, state):
    key_id = aged(state)
    assert getattr(keyring, change)(tenant, key_id) == keyring.load(tenant)


def test_a_tenant_that_has_an_incoming_generation_gets_no_second_one(keyring, vault, aged, tenant):
    aged(State.INCOMING)
    before = keyring.load(tenant)
    assert keyring.add_generation(tenant, vault) == before


def test_a_tenant_may_be_erased_again(keyring, aged, tenant):
    aged(State.CURRENT)
    assert keyring.erase(tenant) == keyring.erase(tenant) == keyring.epoch()


@pytest.mark.parametrize(
    ("change", "state"),
    [("switch", State.PREVIOUS), ("retire", State.CURRENT), ("destroy", State.PREVIOUS), ("reinstate", State.CURRENT)],
)
def test_a_change_out_of_turn_is_refused_with_both_states(keyring, aged, tenant, change, state):
    key_id = aged(state)
    before = keyring.load(tenant)
    with pytest.raises(KeyringRefused, match=rf"is {state}, expected \w+ or \w+"):
        getattr(keyring, change)(tenant, key_id)
    assert keyring.load(tenant) == before


def test_another_tenants_key_is_not_moved(keyring, vault, tenant):
    other = f"{tenant}-other"
    keyring.enrol(other, vault)
    incoming = key_of(keyring.add_generation(other, vault), 2)
    keyring.enrol(tenant, vault)
    with pytest.raises(KeyringRefused, match="is not there"):
        keyring.switch(tenant, incoming)


def test_the_newest_wrap_comes_first(keyring, vault, aged, rows, tenant):
    key_id = aged(State.CURRENT)
    newer = vault.key("tenants").kid[:-1] + "!"
    rows.execute("INSERT INTO keyring.wraps (key_id, kek, wrapped) VALUES (%s, %s, %s)", (key_id, newer, bytes(384)))
    assert keyring.load(tenant).generations[0].wraps[0].kek == newer


def test_an_erased_tenant_has_no_keys_for_ever(keyring, vault, aged, rows, tenant):
    aged(State.RETIRED)
    keyring.add_generation(tenant, vault)
    epoch = keyring.erase(tenant)
    assert rows.execute("SELECT max(epoch) FROM keyring.epochs WHERE tenant = %s", [tenant]).fetchone() == (epoch,)
    left = "SELECT count(*) FROM keyring.wraps JOIN keyring.generations USING (key_id) WHERE tenant = %s"
    assert rows.execute(left, [tenant]).fetchone() == (0,)
    states = "SELECT DISTINCT state FROM keyring.generations WHERE tenant = %s"
    assert rows.execute(states, [tenant]).fetchall() == [("destroyed",)]
    for attempt in (
        keyring.load,
        lambda one: keyring.enrol(one, vault),
        lambda one: keyring.add_generation(one, vault),
    ):
        with pytest.raises(TenantErased):
            attempt(tenant)
    with pytest.raises(pg.RaiseException, match="can be erased, once"):
        rows.execute("UPDATE keyring.tenants SET erased_at = NULL WHERE tenant = %s", [tenant])


def test_a_wrap_moved_to_another_tenants_row_is_refused(keyring, vault, rows, tenant):
    victim = keyring.enrol(tenant, vault).generations[0]
    other = keyring.enrol(f"{tenant}-other", vault).generations[0]
    rows.execute(
        "INSERT INTO keyring.wraps (key_id, kek, wrapped) VALUES (%s, %s, %s)",
        (victim.key_id, "https://vault/keys/tenants/0", other.wraps[0].wrapped),
    )
    moved = keyring.load(tenant).generations[0].wraps[0]
    with pytest.raises(KeyringTampered):
        open_sealed(tenant, victim.key_id, vault.unwrap(other.wraps[0].kek, moved.wrapped))
