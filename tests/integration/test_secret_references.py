"""Secrets in the vault, end to end: settings refer to them, and whoever opens a connection reads them anew."""

from __future__ import annotations

import secrets as random
import traceback
from contextlib import contextmanager

import pytest
import tomli_w
from azure.identity import ClientSecretCredential
from azure.keyvault.secrets import SecretClient
from psycopg import sql

from replica import faults, start
from replica.servers import SERVERS
from steward.__main__ import main
from steward.clients import keyvault_asking
from steward.clients.elasticsearch import open_search
from steward.clients.keyring import open_keyring
from steward.clients.keyvault_errors import VaultForbidden, VaultMissing, VaultUnavailable
from steward.clients.postgres import DatabaseRefused, DatabaseUnavailable, connect
from steward.clients.s3 import open_evidence_bucket
from steward.clients.secrets import read_secret
from steward.errors import BadInput
from steward.evidence.signers import open_signer
from steward.settings import load
from steward.settings import read_secret as read_file
from tests.integration.fresh_database import changed, fresh_database, superuser
from tests.integration.fresh_keyring import empty_keyring
from tests.integration.principals import vault_as

pytestmark = pytest.mark.without_search


@pytest.fixture
def secrets(replica, settings):
    """The vault's secrets, as its administrator sets them."""
    vault = vault_as(replica, settings, "administrator")
    trusted = {"connection_verify": str(vault.ca_file)}
    login = {"authority": vault.authority, "disable_instance_discovery": True, **trusted}
    with (
        ClientSecretCredential(vault.tenant, vault.client_id, read_file(vault.client_secret), **login) as credential,
        SecretClient(vault.url, credential, verify_challenge_resource=False, **trusted) as client,
    ):
        yield client


@pytest.fixture
def name():
    return f"t{random.token_hex(8)}"


@contextmanager
def _role(settings):
    """A user of PostgreSQL whose password is this test's to change."""
    name = f"t{random.token_hex(8)}"
    with superuser(settings) as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(name)))
        admin.execute(sql.SQL("GRANT CONNECT ON DATABASE steward TO {}").format(sql.Identifier(name)))
        try:
            yield (
                name,
                lambda password: admin.execute(
                    sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(name), sql.Literal(password))
                ),
            )
        finally:
            admin.execute(sql.SQL("DROP OWNED BY {0}").format(sql.Identifier(name)))
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


def _user(settings):
    with connect(settings) as connection:
        return connection.execute("SELECT current_user").fetchone()[0]


def test_a_password_that_was_rotated_in_the_vault_is_used_by_the_next_connection(settings, secrets, name):
    with _role(settings) as (user, set_password):
        url = settings.postgres.url.replace("//steward@", f"//{user}@")
        referring = changed(settings, "postgres", url=url, password=f"keyvault:{name}")
        set_password("first-hunter2")
        secrets.set_secret(name, "first-hunter2")
        assert _user(referring) == user
        set_password("second-hunter2")
        with pytest.raises(DatabaseRefused, match="password authentication failed") as raised:
            _user(referring)
        assert "hunter2" not in "".join(traceback.format_exception(raised.value))
        secrets.set_secret(name, "second-hunter2")
        assert _user(referring) == user


def test_a_settings_file_with_its_passwords_in_the_vault_migrates_both_databases(
    settings, secrets, name, tmp_path, capsys
):
    with fresh_database(settings) as fresh, empty_keyring(fresh) as both:
        secrets.set_secret(name, read_file(settings.postgres.password))
        secrets.set_secret(f"{name}-keyring", read_file(settings.keyring.password))
        written = both.model_dump(mode="json", exclude_none=True)
        written["postgres"]["password"] = f"keyvault:{name}"
        written["keyring"]["password"] = f"keyvault:{name}-keyring"
        path = tmp_path / "settings.toml"
        path.write_text(tomli_w.dumps(written))
        assert main(["migrate", "--settings", str(path)]) == 0
        assert main(["migrate", "--settings", str(path)]) == 0
        told = capsys.readouterr().out.splitlines()
        assert [line.split(" revision ")[0] for line in told] == [
            "schema steward migrated from an empty database to",
            "schema keyring migrated from an empty database to",
            "schema steward is at",
            "schema keyring is at",
        ]
        referring = load(path)
        with open_keyring(referring.keyring, referring.vault) as keyring:
            assert keyring.epoch() == 0


def test_evidence_is_signed_with_a_key_that_lies_in_the_vault(settings, secrets, name):
    secrets.set_secret(name, read_file(settings.evidence.signing_key))
    signer = open_signer(changed(settings, "evidence", signing_key=f"keyvault:{name}"))
    assert signer.public_key.keyid == open_signer(settings).public_key.keyid


def test_every_client_asks_the_vault_for_a_secret_that_lies_there(settings, name):
    reference = f"keyvault:{name}"
    users = {
        purpose: user.model_copy(update={"password": reference})
        for purpose, user in settings.search["production"].users.items()
    }
    production = settings.search["production"].model_copy(update={"users": users})
    referring = settings.model_copy(update={"search": {"production": production}})
    opened = (
        lambda: open_search(referring, "production", "snapshot"),
        lambda: open_evidence_bucket(changed(settings, "objects", access_key=reference)),
        lambda: open_evidence_bucket(changed(settings, "objects", secret_key=reference)),
        lambda: connect(changed(settings, "postgres", password=reference)),
    )
    for each in opened:
        with pytest.raises(VaultMissing, match=f"read secret {name}"), each():
            pass


def test_a_reference_without_a_vault_is_refused_where_settings_were_not_read_from_a_file():
    with pytest.raises(BadInput, match="secret password lies in a vault, and none is named"):
        read_secret("keyvault:password", None)


def test_a_principal_that_may_not_read_secrets_is_told_so(replica, settings, name):
    application = settings.model_copy(update={"vault": vault_as(replica, settings, "application")})
    with pytest.raises(VaultForbidden, match=f"read secret {name}"):
        _user(changed(application, "postgres", password=f"keyvault:{name}"))


@pytest.fixture
def hasty_limits(monkeypatch):
    monkeypatch.setattr(keyvault_asking, "READ_SECONDS", 0.2)
    monkeypatch.setattr(keyvault_asking, "TOTAL_SECONDS", 0.5)


def test_a_database_whose_password_lies_in_a_frozen_vault_is_away_as_long_as_that(
    replica, settings, secrets, name, hasty_limits
):
    secrets.set_secret(name, read_file(settings.postgres.password))
    referring = changed(settings, "postgres", password=f"keyvault:{name}")
    assert _user(referring) == "steward"
    with faults.frozen(replica.state, "keyvault"):
        with pytest.raises(DatabaseUnavailable, match=r"its password lies in a vault: .* was silent") as raised:
            _user(referring)
        with pytest.raises(VaultUnavailable):
            read_secret(f"keyvault:{name}", settings.vault)
    assert raised.value.transient


def test_a_vault_that_was_killed_is_asked_again_when_it_is_back(replica, settings, secrets, name):
    secrets.set_secret(name, "kept")
    faults.kill(replica.state, "keyvault")
    start.up(replica.state, SERVERS, ["keyvault"], say=lambda _: None)
    assert read_secret(f"keyvault:{name}", settings.vault) == "kept"
