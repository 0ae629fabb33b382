"""What an audit read, by source: plain values, small enough for the ledger, and no secret among them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import datetime

from pydantic import BaseModel, ConfigDict


class Facts(BaseModel):
    model_config = ConfigDict(frozen=True)


class Version(Facts):
    """One version of a key or secret, as listings show it."""

    version: str
    enabled: bool
    created_at: datetime | None
    not_before: datetime | None = None
    expires_at: datetime | None = None
    tags: dict[str, str] = {}


class Shape(Facts):
    """What the newest version of a key is. `size` is 0 where it is neither RSA nor EC."""

    type: str
    size: int
    operations: tuple[str, ...]


class Key(Facts):
    """A key of the vault; versions newest first. `shape` is None for a key that the policy does not know."""

    name: str
    versions: tuple[Version, ...]
    shape: Shape | None = None
    rotates_itself: bool | None = None


class Secret(Facts):
    """A secret of the vault, never its value; versions newest first."""

    name: str
    versions: tuple[Version, ...]


class VaultFacts(Facts):
    """What the vault lists."""

    read_at: datetime
    vault: str
    kek: str
    # Not `keys`: Prefect takes what has `keys` for a mapping.
    listed_keys: tuple[Key, ...]
    secrets: tuple[Secret, ...]

    @property
    def newest_kek(self) -> Version | None:
        """The version that wraps new keys."""
        kek = next((key for key in self.listed_keys if key.name == self.kek), None)
        return kek.versions[0] if kek and kek.versions else None

    @property
    def newest_kek_name(self) -> str:
        """`NAME/VERSION` of it; empty where there is none."""
        return f"{self.kek}/{self.newest_kek.version}" if self.newest_kek else ""


class Generation(Facts):
    """One generation of a tenant's key, and since when it is what it is."""

    tenant: str
    number: int
    key_id: int
    since: datetime


class Some(Facts):
    """So many, and which were first. The rest is counted, for a keyring may hold ten thousand tenants."""

    total: int = 0
    first: tuple[Generation, ...] = ()


class StateCount(Facts):
    """Generations of one state."""

    state: str
    generations: int
    oldest_at: datetime


class WrapCount(Facts):
    """Wraps under one version of the vault's key; `kek` is its whole identifier."""

    kek: str
    wraps: int
    tenants: int


class Reader(Facts):
    """A process that holds tenants' keys older than the latest change."""

    reader: str
    host: str
    pid: int
    epoch: int
    seen_at: datetime
    behind_since: datetime


class KeyringFacts(Facts):
    """What the keyring's rows say, all at one moment of its own clock."""

    read_at: datetime
    revision: str
    epoch: int
    tenants: int
    erased: int
    states: tuple[StateCount, ...]
    wraps: tuple[WrapCount, ...]
    too_old: Some
    incoming_left: Some
    previous_left: Some
    retired_left: Some
    not_under_newest: Some
    broken: Some
    """Generations that break a rule which triggers keep: somebody has gone round them."""
    readers: int
    silent_readers: int
    lagging: tuple[Reader, ...]


class Grant(Facts):
    """One right that a catalog shows: `privilege` on `object`, held by `grantee`."""

    object: str
    grantee: str
    privilege: str

    def __str__(self) -> str:
        return f"{self.privilege} on {self.object} for {self.grantee}"


class Reach(Facts):
    """What a role can do with the keyring's tables in the end, by grants and memberships together."""

    role: str
    reads: bool
    writes: bool


class AccessFacts(Facts):
    """What the catalogs of the keyring's database say of rights and rules."""

    revision: str
    owner: str
    owners: dict[str, str]
    """Owner of each object: `schema keyring`, `table keyring.wraps` …"""
    grants: tuple[Grant, ...]
    superusers: tuple[str, ...]
    members: tuple[str, ...]
    reach: tuple[Reach, ...]
    functions: dict[str, str]
    triggers: dict[str, str]
    constraints: tuple[str, ...]
    strangers: tuple[str, ...]
    """Objects that the migration does not make, and that could show or change keys."""
    publications: tuple[str, ...]


class Assignment(Facts):
    """One role of one principal at the vault."""

    principal_id: str
    principal: str
    kind: str
    role: str
    scope: str


class AssignmentFacts(Facts):
    """An exported list of role assignments."""

    exported_at: datetime
    assignments: tuple[Assignment, ...]


class Use(Facts):
    """How often one principal asked for one operation in the vault's log."""

    principals: tuple[str, ...]
    """Its ids as the vault logged them: object's, application's."""
    operation: str
    allowed: int
    refused: int


class LogFacts(Facts):
    """What the vault's log says of who did what."""

    newest_at: datetime | None
    lines: int
    anonymous: int
    """Requests without a token, which every client sends first."""
    uses: tuple[Use, ...]


class BackupFacts(Facts):
    """How long the settings and the store keep backups of the keyring. Times are of the moments that they show."""

    retention_days: int
    oldest_at: datetime | None
    newest_at: datetime | None
    """Of those that were VERIFIED and are still there."""
    backups: int
    erasures_overdue: tuple[str, ...] = ()
    """Tenants whose keys should be in no backup any more, and of whom no run has said so."""
    erasures_undone: tuple[str, ...] = ()
    """Tenants that were erased, and that the keyring has again."""


class Unread(Facts):
    """A source that could not be read, and why."""

    source: str
    reason: str
    hint: str


@dataclass(frozen=True)
class Sources:
    """What was read of each; None where the policy asks for no such check."""

    vault: VaultFacts | Unread
    keyring: KeyringFacts | Unread
    access: AccessFacts | Unread
    assignments: AssignmentFacts | Unread
    log: LogFacts | Unread | None
    backups: BackupFacts | Unread | None

    def facts(self) -> Iterator[tuple[str, Facts]]:
        """What was read, by source."""
        for field in fields(self):
            read: Facts | None = getattr(self, field.name)
            if read is not None and not isinstance(read, Unread):
                yield field.name, read
