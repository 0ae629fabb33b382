"""Where the keys of the providers' twins lie: in the replica's vault, put there once, as an operator would have done.

So that rotating them works here as anywhere. OpenAI's API makes keys; Anthropic's makes none, so those of its pool that
nobody uses yet lie beside the one that is in use, each a secret of its own that its tags describe.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from replica.server import Place
from replica.servers.providers import ANTHROPIC, KEYS, OPENAI, PROJECT, WORKSPACE, admin_secret, key, url

# As providers' keys are to be renewed: deployments/keys/policy.toml finds those of this name that never expire.
_PREFIX = "provider-"
_LIFE_SECONDS = 90 * 24 * 3600

#: By what catalog and settings call an account: whose API it speaks, the twins' name of it, and the project of its keys.
ACCOUNTS: Mapping[str, tuple[str, str, str]] = {
    "openai": ("openai", OPENAI, PROJECT),
    "anthropic": ("anthropic", ANTHROPIC, WORKSPACE),
}


@dataclass(frozen=True)
class VaultSecret:
    """As the vault takes it."""

    name: str
    value: str
    tags: Mapping[str, str]

    def body(self) -> dict[str, Any]:
        """Of `PUT /secrets/NAME`."""
        return {
            "value": self.value,
            "tags": dict(self.tags),
            "attributes": {"exp": int(time.time()) + _LIFE_SECONDS},
        }


def vault_name(account: str) -> str:
    """Of the secret that *account*'s key is the newest version of."""
    return f"{_PREFIX}{account}"


def vault_secrets(place: Place) -> Iterator[VaultSecret]:
    """The pool first: where the last one is there, all of them are or were."""
    for account, (_, twin, _) in reversed([*ACCOUNTS.items()]):
        for number, key_id in reversed([*enumerate(KEYS[twin])]):
            tags = {"account": account, "key-id": key_id}
            name = vault_name(account)
            if number:
                name, tags = f"{name}-{number + 1}", tags | {"steward-pool": account, "state": "available"}
            yield VaultSecret(name, key(place, twin, number), tags)


def settings(place: Place) -> Mapping[str, Any]:
    """`[providers]`."""
    return {
        account: {
            "kind": kind,
            "url": url(place, kind),
            "key": f"keyvault:{vault_name(account)}",
            "admin_key": place.secret_ref(admin_secret(twin)),
            "project": project,
        }
        for account, (kind, twin, project) in ACCOUNTS.items()
    }
