"""A vault, a keyring and a database of evidence for all tests of the package."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

import pytest
from azure.keyvault.keys import KeyClient

from replica import inventory
from steward.key_coverage import measure
from steward.migrations.apply import migrate
from steward.settings import load
from tests.integration.described_vault import described
from tests.integration.fresh_database import changed, fresh_database
from tests.integration.fresh_keyring import fresh_keyring
from tests.integration.key_journal.ground import PRINCIPAL, begin_at_the_end
from tests.testbed.keyvault.ground import running


@pytest.fixture(scope="package")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("vault"), limits_factor=1000) as vault, vault.client(KeyClient) as keys:
        keys.create_rsa_key("tenants", size=2048)
        keys.create_ec_key("evidence", curve="P-256")
        yield vault


@pytest.fixture(scope="package")
def keyring(replica):
    with fresh_keyring(load(inventory.settings_file(replica))) as fresh:
        yield fresh.keyring


@pytest.fixture(scope="package")
def described_ground(replica, server, keyring):
    settings = load(inventory.settings_file(replica))
    own = {"vault": described(server, PRINCIPAL), "keyring": keyring}
    return changed(settings, "evidence", checkpoint_key=None, checkpoint_public_keys=None).model_copy(update=own)


@pytest.fixture(scope="package")
def shared(described_ground):
    with fresh_database(described_ground) as fresh:
        migrate(fresh)
        yield fresh


@pytest.fixture
def ground(shared):
    """Vault, keyring, journal and evidence; of the journal, tests look at what is new."""
    begin_at_the_end(shared)
    return shared


@pytest.fixture
def spoiled(described_ground):
    """A database of the test's own, to be damaged."""
    with fresh_database(described_ground) as fresh:
        migrate(fresh)
        begin_at_the_end(fresh)
        yield fresh


@pytest.fixture
def began():
    return datetime.now(UTC)


@pytest.fixture
def covering(server, shared, began):
    """How much of what was done in this test is accounted for."""

    def covering(vault=server, principal=PRINCIPAL, settings=shared):
        log = vault.folder / "vault" / "audit.log"
        return measure(settings, [log], vault.client_id(principal), began)

    return covering


@pytest.fixture
def tenant():
    return f"tenant-{secrets.token_hex(4)}"
