"""What goes wrong in the generated month, so that a statement has something to tell: a handful of things that happen."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from typing import NamedTuple

OPENAI, ANTHROPIC = "openai-main", "anthropic-main"
#: What the settings call the twins' accounts.
ACCOUNTS = {OPENAI: "openai", ANTHROPIC: "anthropic"}
#: The key by which somebody asks past the gateway.
STRAY = "key_notebook"


class Incident(NamedTuple):
    """From an hour of one day of the month on (UTC), in one project; it strikes what fits its cause."""

    cause: str
    account: str
    project: str
    day: int
    """From 1."""
    hour: int
    hours: int
    told: str

    def condition(self, begin: dt.date) -> str:
        """Of SQL, over the rows of the truth."""
        since = dt.datetime.combine(begin + dt.timedelta(days=self.day - 1), dt.time(self.hour), dt.UTC).timestamp()
        return (
            f"account = '{self.account}' AND project = '{self.project}' AND {_FITS[self.cause]} "
            f"AND epoch(arrived_at) >= {since:.0f} AND epoch(arrived_at) < {since + 3600 * self.hours:.0f}"
        )


#: What a cause can strike. One that ended badly is left alone: it has a cause already.
_FITS = {
    "past_gateway": "true",
    "cache_split": "cache_read > 0",
    "cache_write_life": "cache_write_1h > 0",
    "served_tier": "tier_served = 'default' AND model_served LIKE 'gpt-6%'",
    "web_search": "web_searches > 0",
}

#: Small ones: together they stay well below one per cent of each account's bill.
INCIDENTS = (
    Incident("cache_split", OPENAI, "proj_2", 2, 6, 36, "cached tokens were entered as uncached, for a day and a half"),
    Incident("web_search", ANTHROPIC, "wrkspc_1", 2, 0, 8 * 24, "searches were not entered for eight days"),
    Incident("past_gateway", OPENAI, "proj_3", 3, 8, 9, f"{STRAY} asked past the gateway, for a working day"),
    Incident("served_tier", OPENAI, "proj_1", 13, 14, 9, "an evening was billed as priority and entered as default"),
    Incident("cache_write_life", ANTHROPIC, "wrkspc_2", 18, 0, 48, "writes for an hour were entered as for 5 minutes"),
    Incident("cache_split", ANTHROPIC, "wrkspc_3", 24, 6, 12, "cached tokens were entered as uncached, for half a day"),
)


def striking(incidents: Iterable[Incident], begin: dt.date) -> str:
    """Which cause strikes a row, as an expression of SQL; an empty text: none."""
    branches = "".join(f"WHEN {each.condition(begin)} THEN '{each.cause}' " for each in incidents)
    return f"CASE WHEN NOT billed OR outcome <> 'completed' THEN '' {branches}ELSE '' END"


def told(incidents: Iterable[Incident], begin: dt.date) -> Iterator[str]:
    """What happened, in lines for people."""
    for each in incidents:
        day = begin + dt.timedelta(days=each.day - 1)
        yield f"{day}, {ACCOUNTS[each.account]}, {each.project}: {each.told}"
