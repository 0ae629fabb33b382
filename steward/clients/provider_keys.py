"""The keys of one account at its provider, as its administration lists, makes and takes them back."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Protocol

from steward.ai.key_rotation import OldKey
from steward.ai.key_rotation_errors import NotRotatable
from steward.ai.keys import ProviderKey
from steward.clients.before_writing import BeforeWrite
from steward.clients.provider_asking import Asking
from steward.clients.provider_keys_anthropic import AnthropicKeys, anthropic_headers
from steward.clients.provider_keys_openai import OpenAIKeys, openai_headers
from steward.clients.secrets import read_secret
from steward.settings import Provider, Settings


class ProviderKeys(Protocol):
    """Raises ProviderUnavailable and ProviderRefused."""

    def all(self) -> list[ProviderKey]:
        """Those of the account's project, the revoked ones too where the provider still lists them."""
        ...

    def revoke(self, key: OldKey) -> None:
        """Let nobody use the key any more. One that is gone is no error."""
        ...

    def put_away(self, key_id: str) -> None:
        """Take a revoked key off the list of those that could be used again, where the provider has such a list."""
        ...


@contextmanager
def open_provider_keys(settings: Settings, account: str, before_write: BeforeWrite) -> Generator[ProviderKeys]:
    """The administration of *account*; *before_write* is asked right before whatever changes something."""
    provider = settings.providers[account]
    secret = read_secret(_required(provider.admin_key, account, "admin_key"), settings.vault)
    if provider.kind == "openai":
        project = _required(provider.project, account, "project")
        with Asking(provider.url, openai_headers(secret), before_write) as asking:
            yield OpenAIKeys(asking, project)
    else:
        with Asking(provider.url, anthropic_headers(secret), before_write) as asking:
            yield AnthropicKeys(asking, provider.project)


@contextmanager
def open_openai_keys(settings: Settings, account: str, before_write: BeforeWrite) -> Generator[OpenAIKeys]:
    """The same for what only OpenAI's can do: to make keys."""
    with open_provider_keys(settings, account, before_write) as keys:
        if not isinstance(keys, OpenAIKeys):
            raise NotRotatable(f"the provider of {account} makes no keys", hint="take one from the vault's pool")
        yield keys


def takes(provider: Provider, secret: str) -> bool:
    """Whether the provider knows the key (else 401): asked for a list of models, which costs nothing. ProviderUnavailable."""
    headers = openai_headers(secret) if provider.kind == "openai" else anthropic_headers(secret)
    with Asking(provider.url, headers) as asking:
        answer = asking.answer("GET", "/v1/models", params={"limit": 1} if provider.kind == "anthropic" else None)
    return answer.status_code != HTTPStatus.UNAUTHORIZED


def _required(value: str | None, account: str, name: str) -> str:
    if value is None:
        raise NotRotatable(
            f"the settings have no {name} of the account {account}",
            hint=f"add {name} to [providers.{account}]: docs/settings.md",
        )
    return value
