"""Whatever wrap of a generation the vault unwraps will do, while the vault's own key is rotated and disabled."""

import pytest

from steward.fieldcrypt.errors import KeyringTampered, KeysRefused, KeysUnavailable
from steward.fieldcrypt.keyring import State
from tests.unit.fieldcrypt.in_memory import VaultAway
from tests.unit.fieldcrypt.tenantkeys_ground import idle


def test_either_wrap_serves_while_the_vaults_key_is_rotated(timed, keyring, vault):
    old, new = vault.newest, vault.rotate()
    keyring.rewrap("acme")
    keyring.rewrap("globex")
    vault.disabled = {new}
    assert timed().of("acme")
    vault.disabled = {old}
    assert timed().of("globex")
    vault.disabled = {old, new}
    with pytest.raises(KeysRefused, match=f"{new} is disabled"):
        timed().of("acme")


def test_a_vault_that_is_away_is_no_reason_to_try_the_older_wrap(timed, keyring, vault):
    vault.rotate()
    keyring.rewrap("acme")
    with vault.door.failing(VaultAway), pytest.raises(KeysUnavailable):
        timed().of("acme")
    assert vault.door.calls == 1


def test_a_new_version_of_the_vaults_key_is_used_within_a_ttl(timed, keyring, vault, clock):
    """Known accident (kroxylicious#1339): a cache that went on with the old KEK, and failed when that was disabled."""
    keys = timed()
    first = keys.of("acme").writing
    old, new = vault.newest, vault.rotate()
    keyring.rewrap("acme", keep_old=False)
    vault.disabled = {old}
    clock.advance(250)
    keys.of("acme")
    idle(keys)
    assert vault.unwrapped[new] == 1
    assert keys.of("acme").writing is first, "the same key keeps what was derived from it"
    assert keys.status().failures == 0


def test_a_disabled_version_of_the_vaults_key_ends_what_only_it_unwraps(timed, vault, clock):
    keys = timed()
    keys.of("acme")
    vault.disabled = {vault.newest}
    clock.advance(250)
    keys.of("acme")
    idle(keys)
    clock.advance(50)
    with pytest.raises(KeysRefused, match="disabled"):
        keys.of("acme")


def test_a_wrap_moved_from_another_tenant_is_refused(timed, keyring):
    keyring.move_wraps("globex", "acme")
    with pytest.raises(KeyringTampered, match="'acme'"):
        timed().of("acme")


def test_a_live_generation_without_a_wrap_is_refused(timed, keyring):
    keyring.destroy("acme", keyring.current("acme"))
    keyring.set_state("acme", 1, State.CURRENT)
    with pytest.raises(KeyringTampered, match="has no wrapped key"):
        timed().of("acme")
