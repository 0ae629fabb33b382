"""What requests of the API have to say, and how flags are told to people."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request

from services.problems import Refused
from steward.clients.flag_store import FlagVersion, StoredFlag
from steward.flags.model import Flag

MOST_BYTES = 262_144
#: Of a flag's fields, those that a change says; time and whoever holds the lease change that.
_LEASE = "lease_until"


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    why: str = Field(min_length=1, max_length=500)


class Killing(_Body):
    """Of POST /flags/{key}/kill."""


class Change(_Body):
    """Of PUT /flags/{key}: the flag as it is to be. What it does not say of a flag that is there stays not as it is."""

    flag: Mapping[str, Any]
    expected_version: int = Field(ge=0)


class Restoring(_Body):
    """Of POST /flags/{key}/restore."""

    version: int = Field(ge=1)
    expected_version: int = Field(ge=1)


Body = TypeVar("Body", bound=BaseModel)


async def read_body(request: Request, kind: type[Body]) -> Body:
    """Raises Refused 413 and 422."""
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > MOST_BYTES:
            raise Refused(413, f"the body has more than {MOST_BYTES:,} bytes")
    try:
        return kind.model_validate_json(bytes(content))
    except ValidationError as error:
        faults = "; ".join(
            ": ".join(filter(None, (".".join(map(str, each["loc"])), each["msg"])))
            for each in error.errors(include_input=False)
        )
        raise Refused(422, f"the body is not what this request needs: {faults}", hint="docs/flag-server.md") from None


def changed_flag(key: str, change: Change, now: StoredFlag | None) -> Flag:
    """The flag that *change* asks for: under the lease that there is, and killed if it is, unless it says otherwise."""
    said = dict(change.flag)
    if said.pop("key", key) != key:
        raise Refused(422, f"the body is of another flag than {key}", hint="a key is never changed: make a new flag")
    if _LEASE in said and (said[_LEASE] is not None or _is_leased(now)):
        raise Refused(
            422, "a change says nothing of a lease that lives", hint="null drops one that is over; rollouts do the rest"
        )
    kept = {"killed": now.flag.killed, _LEASE: now.flag.lease_until} if now else {}
    return Flag.read({**kept, **said, "key": key})


def _is_leased(now: StoredFlag | None) -> bool:
    return bool(now and now.flag.lease_until and now.flag.lease_until > time.time())


def flag_json(stored: StoredFlag) -> dict[str, Any]:
    """`flag` is what a change would say to change nothing."""
    flag = stored.flag
    return {
        "key": flag.key,
        "version": stored.version,
        "killed": flag.killed,
        "lease_until": flag.lease_until,
        "exposure_percent": flag.split.exposure_percent if flag.split else 0.0,
        "updated_at": stored.updated_at.isoformat(),
        "flag": _definition(flag),
    }


def version_json(version: FlagVersion) -> dict[str, Any]:
    """One entry of the history."""
    flag = version.flag
    return {
        "version": version.version,
        "who": version.who,
        "why": version.why,
        "at": version.at.isoformat(),
        "killed": flag.killed,
        "lease_until": flag.lease_until,
        "exposure_percent": flag.split.exposure_percent if flag.split else 0.0,
        "flag": _definition(flag),
    }


def _definition(flag: Flag) -> dict[str, Any]:
    return {name: value for name, value in flag.state().items() if name not in {"key", _LEASE}}
