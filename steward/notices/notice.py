"""One thing that happened in a rollout, as its stakeholders are told of it."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Happened(StrEnum):
    """What people are told of."""

    BEGUN = "begun"
    EXPOSED = "exposed"
    APPROVAL_ASKED = "approval asked"
    OVERRIDE_ASKED = "override asked"
    CERTIFIED = "certified"
    ROLLED_BACK = "rolled back"
    WITHDRAWN = "withdrawn"
    """Its lease was over: nobody was left to decide, and the users went back."""
    REFUSED = "refused"
    """It was asked for and did not begin: there is no rollout, and nothing was touched."""


class Notice(BaseModel):
    """What happened to which rollout. Everybody who is told may read all of it: never a secret."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rollout: int
    """Of `steward.rollouts`; 0: none began."""
    environment: str
    release: str
    flag: str
    happened: Happened
    step: int = 0
    """Of the plan's, from 1; 0: nobody was exposed yet."""
    exposure: float = Field(default=0, ge=0, le=100)
    """Per cent of users, after it happened."""
    reasons: tuple[str, ...] = ()
    """Why, in words; each is a paragraph."""
    page_url: str = ""
    """The rollout's status page; empty: it is taken from the settings when the notice is told."""
    run_url: str = ""
    """The run in Prefect's UI; empty: it is taken from the run that tells."""
    deployment_id: int | None = None
    """GitHub's, where the release came from one."""
    had_proved_itself: bool = False
    """It was certified before it was rolled back."""

    @property
    def key(self) -> str:
        """The same for the same thing that happened, and for no other of this rollout: it is told once."""
        # Told from any step there is one beginning and one end, whichever attempt comes to it.
        return f"{self.happened} {self.step}" if self.happened in _OF_A_STEP else str(self.happened)

    @property
    def message_id(self) -> str:
        """As `key`, and for no other rollout of any database: what goes before the `@` of a Message-ID."""
        return _message_id(self, self.key)

    @property
    def thread_id(self) -> str:
        """The message_id of what a rollout tells first, so that all that follows can refer to it."""
        return _message_id(self, Happened.BEGUN)


_OF_A_STEP = frozenset({Happened.EXPOSED, Happened.APPROVAL_ASKED, Happened.OVERRIDE_ASKED})


def _message_id(notice: Notice, key: str) -> str:
    of = f"{notice.environment}\n{notice.release}\n{notice.flag}\n{notice.rollout or notice.deployment_id or 0}"
    # Names of releases are people's, and may hold what an id must not.
    mark = hashlib.sha256(of.encode()).hexdigest()[:16]
    return f"rollout-{notice.rollout}.{key.replace(' ', '-')}.{mark}"


class Told(BaseModel):
    """What came of telling one target."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target: str
    """Its name in the settings."""
    ok: bool
    error: str = ""
    """Why not, in words that hold neither a secret nor a webhook's address."""
