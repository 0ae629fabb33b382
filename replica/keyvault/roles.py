"""Who may do what: Azure's built-in roles for a vault's data plane, and custom ones.

Source: https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/security (generated 2026-02-23), the
`dataActions` of each role. Control-plane actions and certificates are not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

VAULTS = "Microsoft.KeyVault/vaults"


@dataclass(frozen=True, slots=True)
class Role:
    """What a role allows; `*` stands for any text, as in Azure's role definitions."""

    data_actions: tuple[str, ...]
    not_data_actions: tuple[str, ...] = ()

    def allows(self, action: str) -> bool:
        """Whether *action* is among its data actions and not taken out again."""
        return _any(self.data_actions, action) and not _any(self.not_data_actions, action)


def _of(*actions: str) -> Role:
    return Role(tuple(f"{VAULTS}/{action}" for action in actions))


BUILT_IN: Mapping[str, Role] = {
    "Key Vault Administrator": _of("*"),
    "Key Vault Crypto Officer": _of("keys/*", "keyrotationpolicies/*"),
    "Key Vault Crypto User": _of(
        "keys/read",
        "keys/update/action",
        "keys/backup/action",
        "keys/encrypt/action",
        "keys/decrypt/action",
        "keys/wrap/action",
        "keys/unwrap/action",
        "keys/sign/action",
        "keys/verify/action",
    ),
    "Key Vault Crypto Service Encryption User": _of("keys/read", "keys/wrap/action", "keys/unwrap/action"),
    "Key Vault Crypto Service Release User": _of("keys/release/action"),
    "Key Vault Reader": _of("*/read", "secrets/readMetadata/action"),
    "Key Vault Secrets Officer": _of("secrets/*"),
    "Key Vault Secrets User": _of("secrets/getSecret/action", "secrets/readMetadata/action"),
    "Key Vault Data Access Administrator": Role(()),
}


def is_allowed(roles: Iterable[Role], action: str) -> bool:
    """Whether one of *roles* allows *action*: they add up, and what one takes out another may give."""
    return any(role.allows(action) for role in roles)


def _any(patterns: Iterable[str], action: str) -> bool:
    return any(_matches(pattern, action) for pattern in patterns)


def _matches(pattern: str, action: str) -> bool:
    # Azure compares actions without regard to case.
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), action, re.IGNORECASE) is not None
