"""The stand-in's configuration: one TOML file, 0600; clients' secrets lie in files of their own that it names."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from replica.keyvault.errors import ConfigurationUnfit
from replica.keyvault.roles import BUILT_IN, Role

_RETENTION_DAYS = range(7, 91)


@dataclass(frozen=True, slots=True)
class Principal:
    """An application that may get tokens, and what its roles let it do with this vault."""

    name: str
    client_id: str
    object_id: str
    secret_file: str
    roles: Sequence[str] = ()
    token_seconds: int = 3599


@dataclass(frozen=True, slots=True)
class Configuration:
    """Paths are absolute."""

    folder: str
    """Where the store, the audit log and the keys of issuer and seal lie; 0700."""
    vault_port: int
    login_port: int
    certificate: str
    certificate_key: str
    tenant: str
    subscription: str
    principals: Sequence[Principal]
    name: str = "vault"
    resource_group: str = "replica"
    location: str = "loopback"
    retention_days: int = 90
    transition_seconds: float = 0
    """How long a deletion or a recovery takes to come through."""
    limits_factor: int = 1
    """Multiplies Azure's limits, for tests that are not about throttling."""
    seal_file: str = ""
    """Of the key that closes backups; vaults that share it restore each other's. Empty: in the folder."""
    custom_roles: Mapping[str, Role] = field(default_factory=dict[str, Role])

    @property
    def vault_url(self) -> str:
        """The vault's own address."""
        return f"https://127.0.0.1:{self.vault_port}"

    @property
    def authority(self) -> str:
        """The login's own address."""
        return f"https://127.0.0.1:{self.login_port}"

    @property
    def issuer(self) -> str:
        """What tokens say of where they come from."""
        return f"{self.authority}/{self.tenant}/"

    @property
    def resource(self) -> str:
        """The vault as Azure's resource manager names it."""
        return (
            f"/subscriptions/{self.subscription}/resourcegroups/{self.resource_group}"
            f"/providers/microsoft.keyvault/vaults/{self.name}"
        )

    def roles_of(self, principal: Principal) -> tuple[Role, ...]:
        """The roles that *principal* has been given."""
        return tuple({**BUILT_IN, **self.custom_roles}[name] for name in principal.roles)


def load(path: Path) -> Configuration:
    """The configuration in *path*; ConfigurationUnfit names what is wrong, never a value."""
    try:
        table = tomllib.loads(path.read_text())
        configuration = _configuration(table)
    except OSError as error:
        raise ConfigurationUnfit(f"cannot read {path}: {error.strerror}", hint="name a readable file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, TypeError, KeyError) as error:
        raise ConfigurationUnfit(
            f"{path} is no configuration of the vault: {error}", hint="see docs/keyvault.md"
        ) from None
    _require_sound(configuration)
    return configuration


def _configuration(table: dict[str, Any]) -> Configuration:
    principals = tuple(Principal(**each) for each in table.pop("principals"))
    roles = {
        name: Role(tuple(given["data_actions"]), tuple(given.get("not_data_actions", ())))
        for name, given in cast("dict[str, Any]", table.pop("custom_roles", {})).items()
    }
    return Configuration(**table, principals=principals, custom_roles=roles)


def _require_sound(configuration: Configuration) -> None:
    if configuration.retention_days not in _RETENTION_DAYS:
        raise ConfigurationUnfit(f"retention_days is {configuration.retention_days}, expected 7 to 90")
    known = {*BUILT_IN, *configuration.custom_roles}
    for principal in configuration.principals:
        if strange := set(principal.roles) - known:
            raise ConfigurationUnfit(
                f"principal {principal.name} has unknown roles: {', '.join(sorted(strange))}",
                hint=f"known: {', '.join(sorted(known))}",
            )
