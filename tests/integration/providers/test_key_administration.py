"""The providers' administrations as a rotation asks them, and what is told when they refuse: never a key."""

from __future__ import annotations

import pytest

from steward.ai.key_rotation import OldKey
from steward.ai.key_rotation_errors import NotRotatable, ProviderRefused, ProviderUnavailable
from steward.clients import provider_keys_anthropic, provider_keys_openai
from steward.clients.provider_keys import open_openai_keys, open_provider_keys, takes
from steward.settings import Provider, Settings
from tests.integration.closed_doors import closed_port
from tests.testbed.providers.ground import PROJECT, WORKSPACE, running_twins

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Of these tests alone: a key that is revoked stays so."""
    with running_twins(tmp_path_factory.mktemp("administration")) as own:
        yield own


@pytest.fixture
def settings(twins):
    def described(kind, url, project, admin="admin"):
        return Provider(
            kind=kind,
            url=url,
            key=f"file:{twins.secret_file('o1' if kind == 'openai' else 'a1')}",
            admin_key=f"file:{twins.secret_file(f'{kind}-main.{admin}')}",
            project=project,
        )

    url = twins.openai_url.removesuffix("/v1")
    accounts = {
        "openai": described("openai", url, PROJECT),
        "elsewhere": described("openai", url, "proj_none"),
        "stranger": described("openai", url, PROJECT, "nobody"),
        "away": described("openai", f"http://127.0.0.1:{closed_port()}", PROJECT),
        "anthropic": described("anthropic", twins.anthropic_url, WORKSPACE),
    }
    # Of the settings nothing else is read.
    return Settings.model_construct(providers=accounts, vault=None)


def nothing():
    pass


def refuse():
    raise AssertionError


def test_a_key_of_openai_is_made_listed_on_whatever_page_and_deleted_with_its_account(settings, monkeypatch):
    monkeypatch.setattr(provider_keys_openai, "_PAGE", 2)
    provider = settings.providers["openai"]
    with open_openai_keys(settings, "openai", nothing) as keys:
        made = [keys.make(f"one-of-many-{number}", 120) for number in range(3)]
        assert made[0].secret not in repr(made)
        listed = {each.id: each for each in keys.all()}
        assert {each.key_id: each.owner for each in made}.items() <= {
            name: each.owner for name, each in listed.items()
        }.items()
        assert listed[made[2].key_id].name == "one-of-many-2"
        assert all(takes(provider, each.secret) for each in made)
        for each in made:
            keys.revoke(OldKey(id=each.key_id, owner=each.owner))
            keys.revoke(OldKey(id=each.key_id, owner=each.owner))
        assert not any(takes(provider, each.secret) for each in made)
        assert not {each.id for each in keys.all()} & {each.key_id for each in made}


def test_a_key_of_anthropic_is_switched_off_and_then_archived_and_a_page_is_not_all(settings, twins, monkeypatch):
    monkeypatch.setattr(provider_keys_anthropic, "_PAGE", 1)
    provider, secret = settings.providers["anthropic"], twins.secret("a2")
    with open_provider_keys(settings, "anthropic", nothing) as keys:
        assert {"a1", "a2"} <= {each.id for each in keys.all()}
        assert takes(provider, secret)
        for act in (lambda: keys.revoke(OldKey(id="a2")), lambda: keys.put_away("a2")):
            act()
            act()
            assert not takes(provider, secret)
            assert [each.is_active for each in keys.all() if each.id == "a2"] == [False]
        keys.put_away("apikey_of_nobody")
        keys.revoke(OldKey(id="a2"))
    with pytest.raises(NotRotatable, match="makes no keys"), open_openai_keys(settings, "anthropic", nothing):
        pass


def test_whoever_may_not_change_anything_any_more_does_not(settings):
    with open_openai_keys(settings, "openai", refuse) as keys:
        before = keys.all()
        for change in (lambda: keys.make("never", 1), lambda: keys.revoke(OldKey(id="o1", owner="sa_o1"))):
            with pytest.raises(AssertionError):
                change()
        assert keys.all() == before


@pytest.mark.parametrize(
    ("account", "kind", "words"),
    [
        ("elsewhere", ProviderRefused, "404|no project"),
        ("stranger", ProviderRefused, "401 invalid_api_key"),
        ("away", ProviderUnavailable, "does not answer"),
    ],
)
def test_refusals_and_silence_are_told_without_a_key(settings, twins, account, kind, words):
    with open_openai_keys(settings, account, nothing) as keys, pytest.raises(kind, match=words) as refused:
        keys.make("never", 1)
    secrets = [twins.secret(name) for name in ("o1", "openai-main.admin", "openai-main.nobody")]
    told = f"{refused.value}{refused.value.__dict__}{refused.value.__cause__}{refused.value.__context__}"
    assert not [secret for secret in secrets if secret in told]


def test_trouble_of_the_provider_may_pass_and_is_not_taken_for_a_refused_key(settings, twins):
    twins.admin("POST", "/begin-anew")
    assert takes(settings.providers["openai"], twins.secret("o1"))
    assert not takes(settings.providers["openai"], "sk-nobodys")
    with pytest.raises(ProviderUnavailable):
        takes(settings.providers["away"], twins.secret("o1"))
