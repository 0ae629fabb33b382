"""The twins' configuration: one TOML file, 0600; keys lie in files of their own that it names."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replica.providers.errors import ConfigurationUnfit

PROVIDERS = ("openai", "anthropic")


@dataclass(frozen=True, slots=True)
class Limit:
    """What an account may use of *model* within a window; None: no such limit. `*` speaks for models without their own."""

    model: str = "*"
    requests: int | None = None
    tokens: int | None = None
    """Input and output together, as OpenAI counts."""
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """One API key of an account, there from the start."""

    id: str
    secret_file: str
    project: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """An organisation at a provider: limits and bills are its own."""

    name: str
    provider: str
    organization: str
    admin_key_file: str
    keys: Sequence[Key] = ()
    limits: Sequence[Limit] = ()
    reserves_output: bool = False
    """Whether `max_tokens` counts until the real output is known, as OpenAI documents; else the real output counts at once."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """Paths are absolute."""

    folder: str
    openai_port: int
    anthropic_port: int
    admin_port: int
    admin_token_file: str
    accounts: Sequence[Account]
    seed: int = 1
    window_seconds: float = 60.0
    limits: str = "enforce"
    """`enforce` answers 429; `observe` counts violations and lets them pass; `off`."""
    prices_file: str = ""
    """Empty: the table that comes with the twins."""
    body_bytes: int = 32 * 1024 * 1024
    """Above: 413. Anthropic documents 32 MB."""


def load(path: Path) -> Configuration:
    """The configuration in *path*; ConfigurationUnfit names what is wrong, never a value."""
    try:
        table = tomllib.loads(path.read_text())
        accounts = tuple(_account(each) for each in table.pop("accounts", []))
        configuration = Configuration(**table, accounts=accounts)
    except OSError as error:
        raise ConfigurationUnfit(f"cannot read {path}: {error.strerror}", hint="name a readable file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise ConfigurationUnfit(
            f"{path} is no configuration of the providers' twins: {error}", hint="see docs/providers.md"
        ) from None
    _require_sound(configuration)
    return configuration


def _account(table: dict[str, Any]) -> Account:
    keys = tuple(Key(**each) for each in table.pop("keys", []))
    limits = tuple(Limit(**each) for each in table.pop("limits", []))
    return Account(**table, keys=keys, limits=limits)


def _require_sound(configuration: Configuration) -> None:
    if configuration.limits not in {"enforce", "observe", "off"}:
        raise ConfigurationUnfit(f"limits is {configuration.limits!r}, expected enforce, observe or off")
    names = [each.name for each in configuration.accounts]
    if len(set(names)) != len(names):
        raise ConfigurationUnfit(f"account names are not unique: {', '.join(sorted(names))}")
    for account in configuration.accounts:
        if account.provider not in PROVIDERS:
            raise ConfigurationUnfit(
                f"account {account.name} is at {account.provider!r}, expected {' or '.join(PROVIDERS)}"
            )
