"""The functions that this release calls, as Redis loads them."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

NAME = "steward_ratelimit"
#: In this order: each stands on those before it.
_PARTS = ("buckets", "limits", "tenants", "functions")


@cache
def source() -> str:
    """One library in Lua; its first line names it."""
    folder = resources.files("steward.ratelimit") / "lua"
    return "\n".join((folder / f"{part}.lua").read_text() for part in _PARTS)


def digest(code: str) -> str:
    """By which two releases of it are told apart."""
    return hashlib.sha256(code.encode()).hexdigest()[:12]
