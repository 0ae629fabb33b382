"""What a rollout is asked for."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from steward.rollout.gates import GatesNeeded
from steward.rollout.plan import Plan


class RolloutRequest(BaseModel):
    """Which release, where, behind which flag, and by what steps."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Roll out a release")

    release: str = Field(
        title="Release",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,99}$",
        description="As the application's host knows it: a version, or a commit.",
    )
    flag: str = Field(
        title="Flag",
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="What of it users are exposed to; it is off for everybody when the release gets the traffic.",
    )
    variant: str = Field(
        default="",
        title="Variant",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$",
        description="Which one users are exposed to; empty: the only one beside the flag's off variant.",
    )
    environment: str = Field(
        default="production",
        title="Environment",
        pattern=r"^[a-z][a-z0-9-]{0,39}$",
        description="The one that this Steward's settings are of.",
    )
    plan: Plan = Field(
        default=Plan(), title="Plan", description="Steps, what each must prove, and how long it may take."
    )
    gates: GatesNeeded = Field(
        default=GatesNeeded(),
        title="Quality gates",
        description="Evidence that the release must have before it begins.",
    )
    because: str = Field(
        default="", title="Because", max_length=500, description="For the record: a ticket, a change. No secret."
    )
    deployment: int | None = Field(
        default=None, ge=1, title="GitHub deployment", description="Whose status is to follow the rollout; empty: none."
    )
