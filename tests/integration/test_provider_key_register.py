"""Keys of the gateway's by both their names: entered while vault and provider have them, and kept when they have not."""

from __future__ import annotations

import datetime as dt
import secrets

import pytest

from replica import inventory
from steward.ai.errors import NoAdministration
from steward.ai.key_rotation import KEY_ID
from steward.ai.keys import version_of
from steward.clients.keyvault_errors import VaultForbidden
from steward.clients.keyvault_secret_versions import open_secret_versions
from steward.clients.provider_key_register import register_keys
from steward.costs.kept import RegisteredKey
from steward.migrations.apply import migrate
from steward.settings import load
from tests.integration.fresh_database import fresh_database
from tests.integration.principals import vault_as
from tests.integration.providers.accounts import accounts
from tests.testbed.providers.ground import PROJECT, WORKSPACE, running_twins

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    with running_twins(tmp_path_factory.mktemp("register")) as running:
        yield running


@pytest.fixture
def book(replica, twins):
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield fresh.model_copy(update={"providers": accounts(twins)})


def with_vault_key(book, account, name):
    provider = book.providers[account].model_copy(update={"key": f"keyvault:{name}"})
    return book.model_copy(update={"providers": {account: provider}})


@pytest.mark.parametrize(("account", "key", "project"), [("openai", "o1", PROJECT), ("anthropic", "a1", WORKSPACE)])
def test_a_key_is_found_by_what_the_provider_shows_of_it(book, twins, account, key, project) -> None:
    found = register_keys(book, account)
    entered = RegisteredKey(account=account, fingerprint=version_of(twins.secret(key)), key_id=key, project=project)
    assert (found.registered, found.untold) == ((entered,), ())
    assert found.by_fingerprint == {version_of(twins.secret(key)): (key, project)}
    assert register_keys(book, account) == found


def test_a_key_that_is_gone_everywhere_stays_in_the_register(replica, book, twins) -> None:
    name = f"provider-register-{secrets.token_hex(4)}"
    ours = with_vault_key(book, "openai", name)
    vault = vault_as(replica, book, "administrator")
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    service = twins.openai().admin.organization.projects.service_accounts
    first, second, lost = (service.create(PROJECT, name=f"register {number}") for number in range(3))
    with open_secret_versions(book.model_copy(update={"vault": vault}), lambda: None) as secrets_of:
        # Put in by hand, and then by a rotation, which tags what it puts in.
        secrets_of.put(name, first.api_key.value, {}, soon)
        assert register_keys(ours, "openai").key_ids == {first.api_key.id}
        secrets_of.put(name, second.api_key.value, {KEY_ID: second.api_key.id}, soon)
        (old,) = [each.version for each in secrets_of.listed(name) if not each.tags]
        assert register_keys(ours, "openai").key_ids == {first.api_key.id, second.api_key.id}
        secrets_of.disable(name, old)
        for made in (first, second):
            service.delete(made.id, project_id=PROJECT)
        secrets_of.put(name, lost.api_key.value, {}, soon)
        service.delete(lost.id, project_id=PROJECT)
    found = register_keys(ours, "openai")
    assert found.by_fingerprint == {
        version_of(made.api_key.value): (made.api_key.id, PROJECT) for made in (first, second)
    }
    # What nobody tells any more is said, and nothing is guessed.
    assert sorted("cannot be read" in each or "no key that it could be" in each for each in found.untold) == [
        True,
        True,
    ]
    assert not any(made.api_key.value in str(found) for made in (first, second, lost))


def test_whoever_may_not_read_the_key_registers_nothing(replica, book) -> None:
    name = f"provider-register-{secrets.token_hex(4)}"
    soon = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    administrator = book.model_copy(update={"vault": vault_as(replica, book, "administrator")})
    with open_secret_versions(administrator, lambda: None) as secrets_of:
        secrets_of.put(name, "sk-whatever-abcd", {}, soon)
    stranger = with_vault_key(book, "openai", name).model_copy(update={"vault": vault_as(replica, book, "auditor")})
    with pytest.raises(VaultForbidden):
        register_keys(stranger, "openai")


def test_an_account_that_is_not_in_the_settings_has_no_keys(book) -> None:
    with pytest.raises(NoAdministration, match="no account nobody"):
        register_keys(book, "nobody")
