"""Tenants' keys: where they are kept, what is encrypted under them, what their audit is held against."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from steward.settings.base import Frozen
from steward.settings.references import VAULT_NAME, SecretRef


class Keyring(Frozen):
    """The database of wrapped tenant keys, apart from every other. The password is never part of the URL."""

    url: str = Field(description="postgresql://user@host:port/database; applications: a user that may only read")
    password: SecretRef
    kek: str = Field(pattern=f"^{VAULT_NAME.pattern}$", description="the vault's key that wraps tenants' master keys")
    # Below three, a run that is a day late would already break the promise.
    backup_days: int = Field(
        default=30, ge=3, le=3650, description="no backup of it becomes older: what is erased is in none after that"
    )


class Application(Frozen):
    """An application's database that has encrypted columns, as the user that re-encrypts. The password is never part of the URL."""

    url: str = Field(description="postgresql://user@host:port/database")
    password: SecretRef
    encrypted: Path = Field(description="TOML file that tells which of its columns are encrypted")


class Audit(Frozen):
    """What `audit-keys` is held against, and what no server tells it: files that others write."""

    policy: Path | None = Field(default=None, description="TOML file of the policy; absent: the one that is shipped")
    role_assignments: Path | None = Field(
        default=None, description="what `az role assignment list --scope VAULT --include-inherited -o json` printed"
    )
    vault_log: Path | None = Field(default=None, description="the vault's own log of audit events, one JSON a line")
