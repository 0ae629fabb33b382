"""Who may use the gateway: keys of its own, of which it knows the hashes alone."""

from __future__ import annotations

import hashlib
import re
import secrets
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.gateway.errors import Fault
from steward.errors import BadInput

#: A caller that serves many tenants names the one it asks for.
TENANT_HEADER = "x-steward-tenant"
#: As a header can say it and the ledger's tenants are called; no prompt is a tenant's name.
_TENANT = re.compile("[!-~]{1,200}")
_HINT = "see deployments/gateway/callers.toml; `python -m services.gateway new-key` makes an entry"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose request it is."""

    key_id: str
    tenant: str
    project: str | None
    weight: float
    requests: int | None = None
    """In a minute, of this tenant by this key. None: as many as there are."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern="^[!-~]{1,100}$")
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    tenant: str | None = Field(default=None, pattern=f"^{_TENANT.pattern}$")
    project: str | None = Field(default=None, pattern="^[!-~]{1,100}$")
    weight: float = Field(default=1.0, gt=0, le=1000)
    requests: int | None = Field(default=None, ge=1, le=10**9)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    caller: tuple[_Entry, ...] = ()


class Callers:
    """Of one file, read again when it changed: a key that is taken out of it is refused from then on."""

    def __init__(self, path: Path) -> None:
        self._path, self._read_of = path, (0, 0)
        self._by_hash: dict[str, _Entry] = {}
        self.read()

    def read(self) -> None:
        """Where it changed. Raises BadInput; what was read before stays then."""
        try:
            stat = self._path.stat()
            if (seen := (stat.st_mtime_ns, stat.st_size)) == self._read_of:
                return
            entries = _File.model_validate(tomllib.loads(self._path.read_text())).caller
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise BadInput(f"callers {self._path} cannot be read: {error}", hint=_HINT) from None
        except ValidationError as error:
            faults = "; ".join(
                f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False)
            )
            raise BadInput(f"callers {self._path}: {faults}", hint=_HINT) from None
        self._by_hash, self._read_of = {each.sha256: each for each in entries}, seen

    def find(self, headers: Mapping[str, str]) -> Caller:
        """Raises Fault 401 for a key that is missing or unknown, 400 where a tenant has to be named and is not."""
        entry = self._by_hash.get(digest(_presented(headers)))
        if entry is None:
            raise Fault(401, "unauthorized", "the gateway knows no such key")
        tenant = entry.tenant or headers.get(TENANT_HEADER, "")
        if not _TENANT.fullmatch(tenant):
            raise Fault(400, "invalid", f"this key serves many tenants: name one in the header {TENANT_HEADER}")
        return Caller(entry.id, tenant, entry.project, entry.weight, entry.requests)


def digest(key: str) -> str:
    """What is kept of a key. Keys are random and long: nothing is gained by guessing."""
    return hashlib.sha256(key.encode()).hexdigest()


def new_key() -> str:
    """For a new caller; shown once."""
    return f"sgw-{secrets.token_urlsafe(32)}"


def _presented(headers: Mapping[str, str]) -> str:
    """As OpenAI's client says it, or as Anthropic's does."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
