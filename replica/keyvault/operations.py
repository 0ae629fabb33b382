"""What an operation of the vault is. Adding one: an `Operation` in a table that `replica/keyvault/vault.py` lists.

A handler is a plain function of one `Request`, run in a thread of a pool: it may compute and wait for the disk. By the time
it runs, the token was checked, the address and `api-version` are sound, the caller's roles allow `data_action`, and the
transaction is within the limits. It returns the answer's JSON object (200), None for an answer without a body (204), or
raises `errors.Refusal`. Whatever it returns, one audit line is written before it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from replica.keyvault.limits import Transaction
from replica.keyvault.sealing import Seal
from replica.keyvault.store import Store


@dataclass(frozen=True, slots=True)
class Caller:
    """Who presents a sound token."""

    name: str
    appid: str
    oid: str


class VaultParts(Protocol):
    """What handlers may use of the vault."""

    @property
    def store(self) -> Store:
        """Everything that is kept."""
        ...

    @property
    def seal(self) -> Seal:
        """What closes backups."""
        ...

    @property
    def retention_days(self) -> int:
        """How long a deleted object can be recovered."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One request, checked as far as all operations have it in common."""

    caller: Caller
    vault: VaultParts
    base: str
    """The vault's address as the caller reached it, without a slash at the end: identifiers begin with it."""
    path: str
    name: str = ""
    """The object's name, valid; empty where the path has none."""
    version: str = ""
    """32 hexadecimal digits; empty for the newest, or where the path has none."""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    body: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """The JSON object of the body; empty where none was sent."""


Answer = Mapping[str, Any] | None
Handler = Callable[[Request], Answer]


@dataclass(frozen=True, slots=True)
class Operation:
    """One line of the contract."""

    method: str
    path: str
    """As in `/keys/{name}/{version}/wrapkey`; only `{name}` and `{version}` vary, and a version in it may be missing."""
    audit: str
    """Its name in the audit log, as Azure has it: `KeyWrap`."""
    data_action: str
    """What the caller's roles must allow, without `Microsoft.KeyVault/vaults/`: `keys/wrap/action`. Empty: any caller may."""
    transaction: Transaction | Callable[[Request], Transaction]
    """What it counts as against the limits; a function where that depends on the key."""
    handler: Handler
    api_versions: Sequence[str]
