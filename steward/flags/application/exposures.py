"""Who was exposed to what, and during which request: values that the hook makes and the middleware reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

#: Bytes. What the database takes; a longer name would have its whole batch refused.
_LONGEST_NAME = 200
#: PostgreSQL's integer.
_LAST_STEP = 2**31 - 1
_USER_BYTES = 16


class Kind(StrEnum):
    """What happened to a user for the first time in a step, and is counted in every application."""

    EXPOSED = "exposed"
    ERROR = "error"
    SLOW = "slow"


class Step(NamedTuple):
    """One step of one rollout of one flag."""

    flag: str
    rollout: str
    step: int


class Exposure(NamedTuple):
    """A user got a variant in a step."""

    at: Step
    variant: str
    user: bytes
    slow_ms: float | None
    """A request that takes longer is slow; None: slowness is not asked for."""


class Outcome(NamedTuple):
    """A user's first of its kind in a step, under the variant that the user was first exposed to in it."""

    at: Step
    kind: str
    """A `Kind`, or one that the application has named."""
    user: bytes
    variant: str


@dataclass(slots=True)
class Request:
    """What the library knows of one request of the application."""

    user: str | None
    """As flags are evaluated for it where the application names no other."""
    exposures: list[Exposure] = field(default_factory=list[Exposure])


#: Inherited by the tasks and threads of a request, which all add to the same object.
current_request: ContextVar[Request | None] = ContextVar("steward_flags_request", default=None)


def exposure(flag: str, variant: str, metadata: Mapping[str, Any], user: bytes) -> Exposure | None:
    """What *metadata* of an evaluated flag says of it; None where the flag is in no rollout, or says so unreadably."""
    if (at := step_of(flag, metadata)) is None or not is_name(variant):
        return None
    return Exposure(at, variant, user, _milliseconds(metadata.get("slow_ms")))


def step_of(flag: str, metadata: Mapping[str, Any]) -> Step | None:
    """`rollout` and `step` of a flag's metadata. JSON's numbers come as floats through some servers."""
    rollout, step = metadata.get("rollout"), metadata.get("step")
    if not is_name(rollout) or not is_name(flag) or isinstance(step, bool) or not isinstance(step, int | float):
        return None
    return Step(flag, str(rollout), int(step)) if 0 <= step <= _LAST_STEP and step == int(step) else None


def is_name(value: object) -> bool:
    """Whether the database can hold *value* as a name: PostgreSQL's text has no NUL, and no half of a surrogate pair."""
    if not isinstance(value, str) or "\0" in value:
        return False
    try:
        return 0 < len(value.encode()) <= _LONGEST_NAME
    except UnicodeEncodeError:
        return False


def pseudonym(salt: bytes, flag: str, targeting_key: str) -> bytes:
    """A user of *flag*: 16 bytes of SHA-256. Other flags know the same person by other bytes.

    Each part is preceded by its length, so that no two triples are hashed alike.
    """
    parts = (salt, flag.encode(), targeting_key.encode("utf-8", "surrogatepass"))
    return hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).digest()[:_USER_BYTES]


def _milliseconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if value > 0 else None
