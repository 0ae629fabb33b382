"""What goes wrong for some hours, as it happens: beside what is sprinkled over the month, and over each other."""

from __future__ import annotations

from typing import NamedTuple

HOUR = 3600


class Incident(NamedTuple):
    """From one hour of the month to another, of an account; of a project, or of all."""

    cause: str
    account: str
    project: str
    first: float
    until: float

    def told(self, begin: int) -> str:
        """As a condition of SQL; *begin*: the month's, as Unix time."""
        span = f"epoch(arrived_at) >= {begin + self.first * HOUR} AND epoch(arrived_at) < {begin + self.until * HOUR}"
        project = f" AND project = '{self.project}'" if self.project else ""
        return f"(account = '{self.account}'{project} AND {span})"


def _at(day: int, hour: float) -> float:
    """Hours since the month began; its first day is 1."""
    return 24 * (day - 1) + hour


OPENAI, ANTHROPIC = "openai-main", "anthropic-main"
#: What strikes each request that it fits and nothing else has struck.
STRIKING = (
    # Deployments that lost the count of cached tokens, until somebody saw it.
    Incident("cache_split", OPENAI, "proj_2", _at(6, 9), _at(6, 15)),
    Incident("cache_split", ANTHROPIC, "wrkspc_1", _at(16, 20), _at(17, 4)),
    Incident("cache_write_life", ANTHROPIC, "wrkspc_2", _at(24, 7), _at(24, 12)),
    # Evenings at which priority was asked for, answered, and not billed.
    Incident("served_tier", OPENAI, "proj_1", _at(6, 13.5), _at(6, 22)),
    Incident("served_tier", OPENAI, "proj_2", _at(6, 13.5), _at(6, 22)),
    Incident("served_tier", OPENAI, "proj_3", _at(20, 18), _at(20, 23)),
)
#: The provider has all of an hour once more.
STATED_TWICE = (
    Incident("stated_twice", OPENAI, "", _at(6, 14), _at(6, 15)),
    Incident("stated_twice", OPENAI, "", _at(9, 3), _at(9, 4)),
)
#: The gateway's clock is a minute late, over midnight and in the middle of a day.
SKEWED = tuple(
    Incident("boundary_shift", account, "", first, first + 1)
    for account in (OPENAI, ANTHROPIC)
    for first in (_at(16, 23.5), _at(22, 10.5))
)
SKEW_SECONDS = 60


def any_of(incidents: tuple[Incident, ...], begin: int) -> str:
    """As a condition of SQL."""
    return "(" + " OR ".join(each.told(begin) for each in incidents) + ")"
