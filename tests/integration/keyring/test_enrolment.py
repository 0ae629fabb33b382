"""A tenant is enrolled once, whoever asks how often, under a key that the vault gives back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from steward.clients.keyring_errors import KeyringRefused
from steward.fieldcrypt.errors import TenantUnknown
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.masterkey import open_sealed
from steward.migrations.apply import migrate
from tests.integration.fresh_database import fresh_database
from tests.integration.keyring.ground import key_of

pytestmark = pytest.mark.without_search


def test_an_enrolled_tenant_has_one_current_key_that_the_vault_unwraps(keyring, vault, tenant):
    keys = keyring.enrol(tenant, vault)
    (only,) = keys.generations
    assert (keys.tenant, only.number, only.state, len(only.wraps)) == (tenant, 1, State.CURRENT, 1)
    assert only.created_at.tzinfo is not None
    assert only.wraps[0].kek == vault.key("tenants").kid
    payload = vault.unwrap(only.wraps[0].kek, only.wraps[0].wrapped)
    assert len(open_sealed(tenant, only.key_id, payload)) == 32


def test_enrolling_again_changes_nothing(keyring, vault, tenant):
    assert keyring.enrol(tenant, vault) == keyring.enrol(tenant, vault)


def test_two_that_enrol_a_tenant_at_once_make_one_generation(keyring, vault, tenant):
    with ThreadPoolExecutor(6) as pool:
        enrolled = list(pool.map(lambda _: keyring.enrol(tenant, vault), range(6)))
    assert {keys.generations for keys in enrolled} == {keyring.load(tenant).generations}
    assert len(enrolled[0].generations) == 1


def test_a_key_that_the_vault_cannot_unwrap_again_is_not_enrolled(keyring, vault, tenant):
    class Forgetful:
        wrap = vault.wrap

        def unwrap(self, _kek, _wrapped):
            return bytes(64)

    with pytest.raises(KeyringRefused, match="unwraps another key"):
        keyring.enrol(tenant, Forgetful())
    with pytest.raises(TenantUnknown):
        keyring.load(tenant)


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 256, "ä" * 128, "\ud800"])
def test_a_name_that_cannot_be_kept_is_unknown(keyring, vault, name):
    for attempt in (keyring.load, keyring.erase, lambda one: keyring.enrol(one, vault)):
        with pytest.raises(TenantUnknown, match="is no name of a tenant"):
            attempt(name)


def test_an_unknown_tenant_is_told_with_the_command_that_enrols_it(keyring, tenant):
    for attempt in (keyring.load, keyring.erase, lambda one: keyring.switch(one, 1)):
        with pytest.raises(TenantUnknown) as raised:
            attempt(tenant)
        assert f"keyring enrol {tenant}" in raised.value.hint


def test_an_operator_enrols_tenants_by_name(described, tenant, tmp_path, capsys, keyring):
    import tomli_w  # noqa: PLC0415 # needed by this one test

    from steward.__main__ import main  # noqa: PLC0415 # as above

    path = tmp_path / "settings.toml"
    command = ["keyring", "enrol", tenant, f"{tenant}-too", "--settings", str(path)]
    with fresh_database(described) as fresh:
        migrate(fresh)
        path.write_text(tomli_w.dumps(fresh.model_dump(mode="json", exclude_none=True)))
        for _ in range(2):
            assert main(command) == 0
        ids = [key_of(keyring.load(each)) for each in command[2:4]]
        told = [
            f"tenant {each}: current generation 1, key {key_id}" for each, key_id in zip(command[2:4], ids, strict=True)
        ]
        assert capsys.readouterr().out.splitlines() == told * 2
        keyring.erase(tenant)
        assert main(command) == 1
    assert capsys.readouterr().err.startswith(f"ERROR: the keys of tenant '{tenant}' were erased\nHINT: ")
