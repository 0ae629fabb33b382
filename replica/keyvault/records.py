"""What the vault keeps of keys and secrets alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """The collections of a vault; each has names of its own."""

    KEY = "key"
    SECRET = "secret"  # noqa: S105 -- a collection's name

    @property
    def plural(self) -> str:
        """As in addresses: `keys`, `secrets`."""
        return f"{self.value}s"


@dataclass(frozen=True, slots=True)
class Attributes:
    """Times are unix seconds."""

    enabled: bool = True
    not_before: int | None = None
    expires: int | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What a new version is made of. *details* is what its kind needs beside it, as JSON: content type, key type, …"""

    material: bytes = field(repr=False)
    details: Mapping[str, Any] = field(default_factory=dict[str, Any])
    tags: Mapping[str, str] | None = None
    attributes: Attributes = Attributes()


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one object."""

    kind: Kind
    name: str
    version: str
    """32 hexadecimal digits."""
    content: Content
    created: int
    updated: int

    @property
    def material(self) -> bytes:
        """The secret's bytes or the private key's."""
        return self.content.material

    @property
    def attributes(self) -> Attributes:
        """Enabled, not before, expires."""
        return self.content.attributes


@dataclass(frozen=True, slots=True)
class Deletion:
    """When an object was deleted and when it will be purged by itself; unix seconds."""

    deleted_at: int
    purge_at: int


@dataclass(frozen=True, slots=True)
class Deleted:
    """A deleted object: its newest version, and when it went and will go."""

    version: Version
    deletion: Deletion


@dataclass(frozen=True, slots=True)
class History:
    """An object with all its versions, oldest first: what a backup holds."""

    kind: Kind
    name: str
    details: Mapping[str, Any]
    versions: tuple[Version, ...]
