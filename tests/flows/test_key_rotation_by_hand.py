"""`python -m steward keyring retire | reinstate`: an old key is disabled by hand only where nothing is under it."""

from __future__ import annotations

import secrets

import pytest

from replica import inventory
from steward import key_retirement
from steward.__main__ import main
from steward.clients import tenantkeys
from steward.clients.keyring import open_keyring
from steward.clients.keyring_errors import KeyringRefused
from steward.clients.keyvault import open_vault
from steward.clients.postgres import connect
from steward.errors import BadInput
from steward.evidence.store import list_statements
from steward.fieldcrypt.errors import KeyRetired, TenantUnknown
from steward.key_retirement import REINSTATING, RETIRING, reinstate, retire
from steward.keys.errors import ColumnsUnusable, KeyInUse, ReadersLag
from steward.operations import claims
from steward.operations.claims import Identity
from steward.operations.errors import Held
from steward.operations.ledger import Ledger
from steward.settings import load
from steward.verdicts import Verdict
from tests.integration.fresh_database import changed
from tests.rotation_ground import laid, opened, sealed

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def ground(replica, tmp_path_factory):
    file = tmp_path_factory.mktemp("by-hand") / "settings.toml"
    with laid(load(inventory.settings_file(replica)), file, tenants=1, rows=4) as own:
        yield own


@pytest.fixture
def tenant(ground):
    """Of this test alone: a row under its first key, and writers on the second."""
    name = f"tenant-{secrets.token_hex(4)}"
    with open_vault(ground.settings.vault) as vault, open_keyring(ground.settings.keyring) as keyring:
        keyring.enrol(name, vault)
        with ground.keys() as keys:
            ground.put(sealed(keys, name, "ada@example.net"))
        keyring.switch(name, keyring.add_generation(name, vault).generations[-1].key_id)
    return name


@pytest.fixture
def old(ground, tenant):
    return ground.key_ids(tenant)[0]


def move(ground, tenant):
    """As the application does that writes the row once more."""
    (row,) = ground.rows(tenant)
    with ground.keys() as keys:
        ground.put(sealed(keys, tenant, "ada@example.net", row.id))


def test_a_key_in_use_is_not_retired_and_its_tables_are_named_with_the_count(ground, tenant, old, capsys):
    before = ground.everything()
    assert main(["keyring", "retire", tenant, str(old), "--settings", str(ground.file)]) == 1
    told = capsys.readouterr().err
    assert f"key {old} of tenant '{tenant}' is in use: 4 values of customers's customers" in told
    assert "HINT: run monthly-key-rotation for this tenant" in told
    assert ground.everything() == before


def test_a_key_that_nothing_is_under_is_retired_once_with_evidence(ground, tenant, old, capsys):
    move(ground, tenant)
    for _ in range(2):
        assert main(["keyring", "retire", tenant, str(old), "--settings", str(ground.file)]) == 0
        assert f"tenant {tenant}: key {old} is retired" in capsys.readouterr().out
    assert ground.states(tenant) == ["retired", "current"]
    with connect(ground.settings) as connection:
        statements = list_statements(connection, RETIRING, subject=f"{tenant}/{old}")
    assert [each.verdict for each in statements] == [Verdict.VERIFIED] * 2
    with ground.keys() as keys:
        (row,) = ground.rows(tenant)
        assert opened(keys, row) == ("ada@example.net",) * 3


@pytest.mark.parametrize("state", ["current", "incoming"])
def test_a_key_that_writers_use_or_are_about_to_is_in_use(ground, tenant, state):
    if state == "incoming":
        with open_vault(ground.settings.vault) as vault, open_keyring(ground.settings.keyring) as keyring:
            keyring.add_generation(tenant, vault)
    with pytest.raises(KeyInUse, match=f"is {state}: writers use it, or are about to"):
        retire(ground.settings, tenant, ground.key_ids(tenant)[-1])


def test_what_is_not_there_is_told_with_what_is(ground, tenant, old):
    with pytest.raises(BadInput, match=rf"has no key 999; it has {old} \(previous\), \d+ \(current\)"):
        retire(ground.settings, tenant, 999)
    with pytest.raises(TenantUnknown):
        retire(ground.settings, "nobody", old)
    with pytest.raises(BadInput, match="name no application"):
        retire(ground.settings.model_copy(update={"applications": {}}), tenant, old)
    with pytest.raises(BadInput, match="name no keyring"):
        retire(ground.settings.model_copy(update={"keyring": None}), tenant, old)


def test_a_destroyed_key_is_told_as_such(ground, tenant, old):
    move(ground, tenant)
    retire(ground.settings, tenant, old)
    with open_keyring(ground.settings.keyring) as keyring:
        keyring.destroy(tenant, old)
    with pytest.raises(BadInput, match="was destroyed"):
        retire(ground.settings, tenant, old)


def test_a_process_that_may_still_write_under_it_is_named(ground, tenant, old, monkeypatch):
    move(ground, tenant)
    monkeypatch.setattr(tenantkeys, "FOLLOW_SECONDS", 3600.0)
    with ground.keys() as frozen:
        opened(frozen, ground.rows(tenant)[0])
        with open_vault(ground.settings.vault) as vault, open_keyring(ground.settings.keyring) as keyring:
            keyring.add_generation(tenant, vault)
        with pytest.raises(ReadersLag, match="1 processes have not taken up the keyring's latest change"):
            retire(ground.settings, tenant, old)
    assert ground.states(tenant)[0] == "previous"


def test_a_transaction_that_may_hold_what_it_encrypted_is_waited_for(ground, tenant, old, monkeypatch):
    monkeypatch.setattr(key_retirement, "WAIT_SECONDS", 0.3)
    (row,) = ground.rows(tenant)
    move(ground, tenant)
    with ground.application() as connection:
        connection.autocommit = False
        ground.write(connection, row)
        with pytest.raises(ReadersLag, match=r"is still open after 0\.3 s"):
            retire(ground.settings, tenant, old)
        connection.commit()
    monkeypatch.undo()
    with pytest.raises(KeyInUse):
        retire(ground.settings, tenant, old)


def test_a_rotation_at_work_is_not_disturbed(ground, tenant, old):
    move(ground, tenant)
    book = Ledger(ground.settings)
    held = claims.claim(book, Identity("monthly-key-rotation", tenant, "now", resource="keyring"))
    with pytest.raises(Held, match="is held by monthly-key-rotation"):
        retire(ground.settings, tenant, old)
    claims.fail(book, held, "over")
    book.close()
    assert ground.states(tenant)[0] == "previous"
    retire(ground.settings, tenant, old)
    assert ground.states(tenant)[0] == "retired"


def test_what_cannot_be_counted_is_not_taken_for_nothing(ground, tenant, old, tmp_path):
    move(ground, tenant)
    told = ground.settings.applications["customers"]
    file = tmp_path / "columns.toml"
    file.write_text(told.encrypted.read_text().replace('[[table.field]]\ncolumn = "notes"\n', ""))
    blind = {"customers": told.model_copy(update={"encrypted": file})}
    with pytest.raises(ColumnsUnusable, match=r"customers\.notes holds ciphertexts"):
        retire(ground.settings.model_copy(update={"applications": blind}), tenant, old)


def test_evidence_that_could_not_be_recorded_is_recorded_by_the_same_again(ground, tenant, old, tmp_path):
    move(ground, tenant)
    with pytest.raises(BadInput, match="cannot read secret file"):
        retire(changed(ground.settings, "evidence", signing_key=f"file:{tmp_path / 'absent'}"), tenant, old)
    assert ground.states(tenant)[0] == "retired"
    retire(ground.settings, tenant, old)
    with connect(ground.settings) as connection:
        assert len(list_statements(connection, RETIRING, subject=f"{tenant}/{old}")) == 1


def test_a_disabled_key_is_read_by_again_once_it_is_taken_back(ground, tenant, old, capsys):
    (backup,) = ground.rows(tenant)
    move(ground, tenant)
    retire(ground.settings, tenant, old)
    ground.put(backup)
    assert ground.values()[backup.id] == (KeyRetired,) * 3
    for _ in range(2):
        assert main(["keyring", "reinstate", tenant, str(old), "--settings", str(ground.file)]) == 0
        assert f"tenant {tenant}: key {old} is previous" in capsys.readouterr().out
    assert ground.values()[backup.id] == ("ada@example.net",) * 3
    with connect(ground.settings) as connection:
        assert len(list_statements(connection, REINSTATING, subject=f"{tenant}/{old}")) == 2


def test_what_is_in_use_or_gone_is_not_taken_back(ground, tenant, old):
    with pytest.raises(KeyringRefused, match="is current, expected retired or previous"):
        reinstate(ground.settings, tenant, ground.key_ids(tenant)[-1])
    with pytest.raises(BadInput, match="has no key 999"):
        reinstate(ground.settings, tenant, 999)
    move(ground, tenant)
    retire(ground.settings, tenant, old)
    with open_keyring(ground.settings.keyring) as keyring:
        keyring.destroy(tenant, old)
    with pytest.raises(BadInput, match="was destroyed"):
        reinstate(ground.settings, tenant, old)
