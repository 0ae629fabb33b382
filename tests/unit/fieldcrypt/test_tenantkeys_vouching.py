"""One unwrapping speaks for all unchanged keys under the same version of the vault's key, for half a minute."""

import pytest

from steward.fieldcrypt.errors import KeysRefused
from tests.unit.fieldcrypt.in_memory import VaultForbids, until

TENANTS = [f"tenant-{number}" for number in range(40)]


@pytest.fixture
def forty(timed, keyring, vault):
    """Forty tenants in memory, and no call counted yet."""
    keyring.enrol(*TENANTS)
    keys = timed()
    for tenant in TENANTS:
        keys.of(tenant)
    vault.unwrapped.clear()
    return keys


def loaded_again(keys, *tenants):
    for tenant in tenants:
        keys.of(tenant)
        until(lambda: len(keys._refresher._flights) == 0)


def test_tenants_that_are_due_together_cost_the_vault_one_call(forty, vault, keyring, clock):
    before = forty.of(TENANTS[0])
    clock.advance(250)
    loaded_again(forty, *TENANTS)
    assert keyring.loaded[TENANTS[0]] == keyring.loaded[TENANTS[39]] == 2
    assert vault.unwrapped == {vault.newest: 1}
    assert forty.of(TENANTS[0]) is not before
    assert forty.of(TENANTS[0]).current is before.current


def test_the_vault_is_asked_again_after_half_a_minute_and_a_refusal_takes_effect(forty, vault, clock):
    clock.advance(250)
    loaded_again(forty, TENANTS[0])
    clock.advance(29.9)
    vault.disabled.add(vault.newest)
    loaded_again(forty, TENANTS[1])
    assert vault.unwrapped[vault.newest] == 1
    clock.advance(0.1)
    loaded_again(forty, TENANTS[2])
    assert vault.unwrapped[vault.newest] == 2
    clock.advance(300)
    # The last that was vouched for is gone too: a TTL and half a minute after the refusal could first have been heard.
    for tenant in TENANTS[:3]:
        with pytest.raises(KeysRefused):
            forty.of(tenant)


def test_a_refusal_ends_what_was_vouched_for(forty, vault, clock):
    clock.advance(250)
    loaded_again(forty, TENANTS[0])
    with vault.door.failing(VaultForbids), pytest.raises(KeysRefused):
        forty.of("acme")
    loaded_again(forty, TENANTS[1])
    # The first of the forty, and the one after the refusal: the cold tenant was sent away before it was counted.
    assert vault.unwrapped == {vault.newest: 2}


def test_a_key_that_was_wrapped_anew_is_unwrapped_whatever_is_vouched_for(forty, vault, keyring, clock):
    clock.advance(250)
    loaded_again(forty, TENANTS[0])
    old, new = vault.newest, vault.rotate()
    keyring.rewrap(TENANTS[1])
    loaded_again(forty, TENANTS[1])
    assert vault.unwrapped == {old: 1, new: 1}
