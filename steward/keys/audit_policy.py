"""What keys, secrets and rights ought to be: one file that a person writes, and `audit-keys` holds everything against."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from steward.errors import BadInput


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Expiry(_Frozen):
    """How old the newest version may be, and whether it must end by itself. Days."""

    newest_days: int = Field(ge=1, description="the newest version's greatest age")
    must_expire: bool = Field(default=False, description="whether its newest version needs an expiry date")
    warn_days: int = Field(default=14, ge=0, description="an expiry nearer than this is a finding")


class KeyRule(Expiry):
    """One key of the vault."""

    name: str = Field(min_length=1)
    type: str = Field(pattern="^(RSA|EC)$")
    size: int = Field(ge=256, description="bits of the modulus, or of the curve's field")
    operations: tuple[str, ...] = Field(min_length=1, description="exactly what it permits: wrapKey, sign …")
    enabled_versions: int = Field(default=2, ge=1, description="at most so many at one time")
    automatic_rotation: bool = Field(default=False, description="whether the vault itself may make new versions")


class SecretRule(Expiry):
    """Secrets by their names; the first rule that fits is the one that counts."""

    names: str = Field(min_length=1, description="a pattern with *, as in provider-*")


class Generations(_Frozen):
    """How long a tenant's key may be in each state."""

    current_days: int = Field(default=35, ge=1)
    incoming_hours: int = Field(default=24, ge=1, description="older ones were left over by a rotation that stopped")
    previous_days: int = Field(default=14, ge=1, description="older ones were not re-encrypted to the end")
    retired_days: int = Field(default=14, ge=1, description="the grace: older ones should be destroyed")
    rewrap_hours: int = Field(
        default=24, ge=1, description="after a new version of the vault's key, how long until every key is under it"
    )


class Readers(_Frozen):
    """Processes that hold tenants' keys."""

    lag_minutes: int = Field(default=15, ge=1, description="how long after a change one may still hold what was before")


class DatabaseRules(_Frozen):
    """Who may do what in the keyring's database, beside its owner."""

    readers: tuple[str, ...] = Field(min_length=1, description="roles that read keys, and acknowledge")
    superusers: tuple[str, ...] = Field(default=(), description="roles that no right binds")
    members: tuple[str, ...] = Field(
        default=(), description="memberships, as in `app in keyring_reader`, in roles that reach the keyring"
    )
    publications: tuple[str, ...] = Field(default=(), description="logical replication out of it")


class Principal(_Frozen):
    """Somebody who may reach the vault."""

    name: str = Field(min_length=1)
    object_id: str = Field(min_length=1, description="as role assignments and the vault's log name it")
    client_id: str = Field(default="", description="of an application: as the vault's log names it too")
    roles: tuple[str, ...] = Field(min_length=1, description="roles at the vault, inherited ones included")
    operations: tuple[str, ...] = Field(
        default=(), description="operations that it may be seen with in the vault's log; empty: any"
    )


class RoleAssignments(_Frozen):
    """The exported list of them."""

    stale_hours: int = Field(default=48, ge=1, description="an older export says nothing of today")


class VaultLog(_Frozen):
    """The vault's own log."""

    days: int = Field(default=31, ge=1, description="how far back it is read")
    silent_hours: int = Field(default=24, ge=1, description="a log whose newest line is older says nothing of today")


class Backups(_Frozen):
    """Backups of the keyring, whose retention bounds an erasure."""

    retention_days: int = Field(ge=1, description="the oldest may be no older: what is promised to whoever is erased")
    newest_hours: int = Field(default=26, ge=1, description="the newest VERIFIED one may be no older")


class KeyPolicy(_Frozen):
    """The whole policy. A table that is left out (`vault_log`, `backups`) leaves out its check, and the report says so."""

    key: tuple[KeyRule, ...] = Field(min_length=1)
    secret: tuple[SecretRule, ...] = ()
    generations: Generations = Generations()
    readers: Readers = Readers()
    database: DatabaseRules
    principal: tuple[Principal, ...] = Field(min_length=1)
    role_assignments: RoleAssignments = RoleAssignments()
    vault_log: VaultLog | None = None
    backups: Backups | None = None

    @model_validator(mode="after")
    def _named_once(self) -> Self:
        for told, names in (
            ("key", [rule.name for rule in self.key]),
            ("secret", [rule.names for rule in self.secret]),
            ("principal", [each.name for each in self.principal]),
            ("object_id", [each.object_id for each in self.principal]),
        ):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                msg = f"{told} {', '.join(twice)} stands there twice"
                raise ValueError(msg)
        return self

    def rule_of(self, secret: str) -> SecretRule | None:
        """The rule that counts for the secret of that name."""
        return next((rule for rule in self.secret if fnmatchcase(secret, rule.names)), None)


def load_policy(path: Path) -> KeyPolicy:
    """The policy in *path*. BadInput names the file and the field."""
    try:
        return KeyPolicy.model_validate(tomllib.loads(path.read_text()))
    except OSError as error:
        raise BadInput(
            f"cannot read the policy {path}: {error.strerror}", hint="audit.policy must name a file"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"the policy {path} is not TOML: {error}", hint="mend the line it names") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise BadInput(
            f"the policy {path} is not usable: {faults}", hint="see docs/runbooks/audit-keys.md, Policy"
        ) from None
