"""The lease of an operation, and how often it is renewed."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from steward.settings.base import Frozen


class Operations(Frozen):
    """How long a run that says nothing keeps its operation."""

    lease_seconds: float = Field(default=15, gt=0, description="after this without a heartbeat, another run takes over")
    heartbeat_seconds: float = Field(default=5, gt=0, description="how often a run renews its lease")
    pending_seconds: float = Field(
        default=30,
        gt=0,
        description="how long a worker may take to begin a run's process; more where images are fetched",
    )

    @model_validator(mode="after")
    def _outlives_heartbeats(self) -> Self:
        # One lost heartbeat is weather; a lease that ends with it would hand a healthy run's work to another.
        if self.lease_seconds < 2 * self.heartbeat_seconds:
            msg = (
                f"a lease of {self.lease_seconds:g} s ends before the second heartbeat of {self.heartbeat_seconds:g} s; "
                "expected lease_seconds to be at least twice heartbeat_seconds"
            )
            raise ValueError(msg)
        return self
