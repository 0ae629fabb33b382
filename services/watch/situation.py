"""What the watch's threads know of one another. Each attribute has one writer; readers take it as it is."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime

from steward.ai.probing import Probe
from steward.clients.cost_standing import CostsStand
from steward.operations.alarms import Watched
from steward.operations.contact import Contact
from steward.operations.expectations import Expectation
from steward.operations.ledger import Ledger
from steward.operations.tallies import Tallies


@dataclass(frozen=True)
class ProbeSeen:
    """What an account at a provider of AI answered, and when: by a clock that only goes forward, and in Unix seconds."""

    probe: Probe
    monotonic: float
    at: float


@dataclass
class Situation:
    """One watch, at work."""

    ledger: Ledger
    expectations: list[Expectation]
    stopped: threading.Event = field(default_factory=threading.Event)

    contact: Contact = field(default_factory=Contact)
    lease_seconds: float = 0.0
    """The longest lease that is held; until the database says so, that of the settings."""
    tallies: Tallies | None = None
    """None: not read yet, or the database is away, and what it held may have changed."""
    watched: list[Watched] = field(default_factory=list[Watched])
    """Kept while the database is away: time goes on, and so does the dead man's switch."""
    lateness: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    """Seconds from the tick to the first attempt, of the last period that began, by name and subject."""
    database: str = "not asked yet"
    """What is wrong with it; empty: nothing."""
    prefect: str = "not asked yet"
    rounds: dict[str, float] = field(default_factory=dict[str, float])
    """When each loop last ended a round, whatever it came to: monotonic seconds."""
    acts: Counter[str] = field(default_factory=Counter[str])
    """What the reaper, and whoever sweeps, has done since this process began. One writer for each act."""
    probes: dict[str, ProbeSeen] = field(default_factory=dict[str, ProbeSeen])
    """The newest of each account, known also while the database is away."""
    costs: CostsStand | None = None
    """None: not read yet, or the database is away."""

    def __post_init__(self) -> None:
        self.lease_seconds = self.ledger.settings.operations.lease_seconds
        self.rounds = dict.fromkeys(("ledger", "prefect"), time.monotonic())

    @property
    def now(self) -> datetime:
        """By the ledger's clock, also while the database is away; by this machine's before it was ever heard."""
        seconds = self.contact.database_seconds(time.monotonic())
        return datetime.now(UTC) if seconds is None else datetime.fromtimestamp(seconds, UTC)

    @property
    def is_settled(self) -> bool:
        """Whether an expired lease means a dead holder."""
        return self.contact.is_settled(time.monotonic(), self.lease_seconds)


class Every:
    """True when its time has come again."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def __bool__(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True

    def come_now(self) -> None:
        """True at the next look: there is more to do."""
        self._next = 0.0
