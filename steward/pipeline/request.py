"""What a release candidate is asked for, and what is known of it before anything runs."""

from __future__ import annotations

from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from steward.pipeline.manifest import Manifest
from steward.pipeline.tests_bounds import TestsBefore
from steward.rollout.gates import Gate

#: In this order; what was not built is not tested.
GATES = (Gate.BUILD, Gate.UNIT_TESTS, Gate.CONTRACT_TESTS, Gate.MIGRATIONS, Gate.SECURITY, Gate.PERFORMANCE)
_SHORT = 12


class CandidateRequest(BaseModel):
    """Which commit of which repository is to become a release. Prefect shows this model as a form."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Prove a release candidate")

    repository: str = Field(
        title="Repository",
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="As the settings call it: [pipeline.repositories.NAME].",
    )
    commit: str = Field(title="Commit", pattern=r"^[0-9a-f]{40}$", description="All of its 40 digits.")
    ref: str = Field(
        default="", title="Ref", max_length=200, description="Branch or tag it was pushed to; for the record."
    )
    release: str = Field(
        default="",
        title="Release",
        pattern=r"^([a-z0-9][a-z0-9.-]{0,63})?$",
        description="What the application's host is to call it; empty: the commit's first 12 digits.",
    )
    flag: str = Field(
        default="",
        title="Flag",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,60})?$",
        description="Behind which users are exposed to it; empty: the one that the settings name for the repository.",
    )
    first: bool = Field(
        default=False,
        title="First release",
        description="There is no certified release of this repository to compare with, and that is right.",
    )
    because: str = Field(
        default="", title="Because", max_length=500, description="For the record: a ticket, a change. No secret."
    )

    @property
    def name(self) -> str:
        return self.release or self.commit[:_SHORT]


class Certified(BaseModel):
    """The release that users have, which the candidate is compared with."""

    model_config = ConfigDict(frozen=True)

    release: str
    commit: str
    manifest: Manifest | None = None
    """None: that commit has none, or one of another format."""
    tests: dict[Gate, TestsBefore] = {}
    """What passed of it; of a gate that is not there nobody knows."""


class Candidate(BaseModel):
    """A commit that may become a release: it is there, its manifest can be read, and what it is compared with is known."""

    model_config = ConfigDict(frozen=True)

    request: CandidateRequest
    release: str
    commit: str
    tree: str
    environment: str
    flag: str
    manifest: Manifest
    certified: Certified | None
    begun_at: AwareDatetime


class Artifact(BaseModel):
    """What was built, by its content."""

    model_config = ConfigDict(frozen=True)

    file: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)

    @property
    def key(self) -> str:
        """Its name in the object store."""
        return f"artifacts/sha256/{self.sha256}"


def seconds_between(started: datetime, finished: datetime) -> float:
    """Never less than nothing: a clock may be put back."""
    return max(0.0, (finished - started).total_seconds())
