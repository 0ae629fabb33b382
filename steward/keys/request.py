"""What a rotation is asked for, and what it will do."""

from __future__ import annotations

import difflib
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from steward.errors import BadInput
from steward.keys.golden import GOLDEN_TENANT


class Reason(StrEnum):
    """Why keys are rotated."""

    SCHEDULED = "scheduled"
    """They are old enough."""
    SUSPECTED_COMPROMISE = "suspected-compromise"
    """Somebody may know them: the old version of the vault's key is disabled at once, and nothing waits for quiet."""
    OFFBOARDING = "offboarding"
    """Somebody who could have known them has left."""


class RotationRequest(BaseModel):
    """Whose keys, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Rotate keys")

    reason: Reason = Field(
        default=Reason.SCHEDULED,
        title="Reason",
        description="After a suspicion, nothing waits for the application, and old versions of the vault's key are "
        "disabled at once.",
    )
    because: str = Field(
        default="",
        title="Because",
        max_length=500,
        description="For the record: a ticket, what was seen. Needed unless scheduled. No secret, no person's data.",
    )
    tenants: tuple[str, ...] = Field(
        default=(),
        title="Tenants",
        max_length=1000,
        description="By name; empty: all, and then the vault's own key gets a new version too.",
    )
    threads: int = Field(default=2, ge=1, le=32, title="Threads", description="That re-encrypt side by side.")
    added_milliseconds: float = Field(
        default=3.0,
        ge=0.1,
        le=1000,
        title="Added latency",
        description="By so much the application's database may become slower before the sweep slows down.",
    )
    grace_days: float = Field(
        default=7.0,
        ge=0,
        le=366,
        title="Grace",
        description="Days between disabling an old key and destroying it; it is destroyed by a later rotation.",
    )
    readers_seconds: float = Field(
        default=2100.0,
        ge=1,
        le=86_400,
        title="Readers",
        description="How long to wait for every process to take up new keys; one that is silent counts for 1,800 s.",
    )

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if self.reason is not Reason.SCHEDULED and not self.because.strip():
            msg = f"a rotation for {self.reason} needs a `because`: a ticket, or what was seen"
            raise ValueError(msg)
        if not all(tenant.strip() for tenant in self.tenants):
            msg = "a tenant without a name; leave the list empty for all tenants"
            raise ValueError(msg)
        return self

    @property
    def of_all(self) -> bool:
        """It is about every tenant."""
        return not self.tenants

    @property
    def subject(self) -> str:
        """What it is of, as the ledger and people name it."""
        if self.of_all:
            return "all tenants"
        named = ", ".join(sorted(set(self.tenants)))
        return named if len(named) <= 200 else f"{len(set(self.tenants))} tenants"  # noqa: PLR2004  a line


class Plan(BaseModel):
    """What was decided before anything was touched, and stands for every attempt."""

    model_config = ConfigDict(frozen=True)

    tenants: tuple[str, ...]
    applications: tuple[str, ...]
    kek: str
    """Name of the vault's key."""
    kek_before: str
    """Its newest version then, in full."""
    rotates_kek: bool


def planned_tenants(request: RotationRequest, known: list[str], erased: list[str]) -> tuple[str, ...]:
    """Those of *known* that are asked for, the golden one among them. BadInput names one that is unknown or erased."""
    if not known:
        raise BadInput("no tenant has keys", hint="enrol one: python -m steward keyring enrol TENANT")
    for tenant in request.tenants:
        if tenant in erased:
            raise BadInput(f"tenant {tenant!r} was erased: it has no keys", hint="leave it out")
        if tenant not in known:
            near = ", ".join(difflib.get_close_matches(tenant, known)) or "none of that kind"
            raise BadInput(f"unknown tenant {tenant!r}; known: {near}", hint="tenants are named as they were enrolled")
    wanted = set(request.tenants) | {GOLDEN_TENANT} if request.tenants else {*known, GOLDEN_TENANT}
    return tuple(sorted(wanted))
