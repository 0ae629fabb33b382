"""What the vault tells of its secrets without telling them: names, versions, dates. No value is ever asked for."""

from __future__ import annotations

from azure.keyvault.secrets import SecretProperties

from steward.clients.keyvault_asking import ask
from steward.clients.keyvault_errors import Asked
from steward.clients.keyvault_sdk import Sdk
from steward.keys.audit_facts import Secret, Version

_ROLE = "Key Vault Secrets User (or Key Vault Reader)"


def list_secrets(sdk: Sdk, vault: str, principal: str) -> tuple[Secret, ...]:
    """Every secret of *vault* with all its versions, newest first. Raises what `keyvault` raises."""

    def names(**limits: float) -> list[str]:
        return [each.name or "" for each in sdk.secrets.list_properties_of_secrets(**limits)]

    found = ask(Asked(vault, principal, "list secrets", _ROLE), names)
    return tuple(Secret(name=name, versions=_versions(sdk, vault, principal, name)) for name in sorted(found))


def _versions(sdk: Sdk, vault: str, principal: str, name: str) -> tuple[Version, ...]:
    def listed(**limits: float) -> list[SecretProperties]:
        return list(sdk.secrets.list_properties_of_secret_versions(name, **limits))

    found = ask(Asked(vault, principal, f"list versions of secret {name}", _ROLE), listed)
    versions = [
        Version(
            version=each.version or "",
            enabled=each.enabled is not False,
            created_at=each.created_on,
            not_before=each.not_before,
            expires_at=each.expires_on,
            tags=each.tags or {},
        )
        for each in found
    ]
    return tuple(sorted(versions, key=lambda each: each.created_at.timestamp() if each.created_at else 0, reverse=True))
