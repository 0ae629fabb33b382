"""Where runs of costs may die, and what may become of a provider's pages; cases are drawn by a seed."""

import random
from typing import NamedTuple

from tests.flows.killed_runs import Death

#: One attempt fewer than the ledger lets a round have.
MOST_DEATHS = 4
ACCOUNTS = ("anthropic", "openai")
ALL = "all"
#: What a page may meet on its way.
MEDDLING = ("cut", "repeated", "out-of-order", "refused")
PUT = "steward.clients.s3:LockedBucket.put_once"


def _points(*steps):
    """Each step with the calls within it, in the order in which a run comes there."""
    for step, *calls in steps:
        yield Death("before", step)
        yield from (Death("call", call) for call in calls)
        yield Death("after", step)


DAYS = tuple(
    _points(
        ("register_account_keys", "steward.clients.provider_key_register:enter_keys"),
        (
            "read_pages",
            "steward.clients.provider_costs:_Reports._page#2",
            PUT,
            f"{PUT}#2",
            "steward.clients.cost_pages:keep_reading",
        ),
        (
            "explain_day",
            "steward.clients.cost_hours:SealedDay",
            "tasks.cost_days:store_locked",
            "tasks.cost_days:keep_day",
        ),
        ("conclude_days",),
    )
)
#: Where a run does not come whose day was read before.
READING_POINTS = DAYS[DAYS.index(Death("before", "read_pages")) + 1 : DAYS.index(Death("after", "read_pages"))]
RECONCILIATION = tuple(
    _points(
        ("plan_reconciliation",),
        ("run_child", "tasks.children:_start", "tasks.children:_wait"),
        ("watch_budgets", "tasks.cost_budgets:raise_alert", "tasks.cost_budgets:raise_alert#2"),
        (
            "state_period",
            "tasks.cost_reconciliation:store_locked",
            "steward.clients.cost_statements:write_focus",
            "steward.clients.cost_statements:_stored#2",
            "tasks.cost_reconciliation:keep_statement",
        ),
        ("conclude_reconciliation",),
        ("record_costs",),
        ("publish_costs", "tasks.cost_publishing:_emit"),
    )
)
SEALING = tuple(
    _points(
        ("begin_sealing",),
        ("close_hours", "tasks.sealing_attempts:close_hour#2"),
        ("store_hours", "tasks.sealing_attempts:write_parquet#2", f"{PUT}#3"),
        ("read_hours_back",),
        ("seal_hours", "tasks.sealing_attempts:keep_sealed#2"),
        ("conclude_sealing",),
        ("record_sealing_evidence",),
        ("show_sealing",),
    )
)


class Case(NamedTuple):
    number: int
    kind: str
    account: str
    deaths: tuple[Death, ...]
    children: tuple[Death, ...] = ()
    """Of the runs that a reconciliation has started."""
    meddling: str = ""

    def __str__(self) -> str:
        places = ", ".join(map(place_of, (*self.deaths, *self.children)))
        return f"{self.number} {self.kind} {self.account} {self.meddling}: {places}"


def place_of(death):
    return f"{death.at} {death.step.rpartition(':')[2]}"


def _call(name):
    return next(each for each in (*DAYS, *RECONCILIATION, *SEALING) if each.step.endswith(name))


#: What is dearest: objects that no reading names, a figure that is entered and not recorded, hours half sealed.
FIRST = [
    Case(0, "restated", "openai", (_call("put_once#2"),)),
    Case(1, "sealing", "openai", (_call("keep_sealed#2"),)),
    Case(2, "reconciliation", "openai", (_call("_stored#2"),)),
    Case(3, "days", "openai", (_call("SealedDay"), Death("after", "explain_day"))),
    Case(4, "pages", "openai", (_call("_page#2"),), meddling="cut"),
]
KINDS = ("days", "reconciliation", "pages", "restated", "sealing", "reconciliation")


def drawn(seed, count):
    """The first are always the same."""
    return [*FIRST, *_draw(seed, count)][:count]


def _draw(seed, count):
    chosen = random.Random(seed)
    for number in range(len(FIRST), count):
        kind = KINDS[number % len(KINDS)]
        account = chosen.choice((*ACCOUNTS, ALL) if kind == "reconciliation" else ACCOUNTS)
        places = {"reconciliation": RECONCILIATION, "sealing": SEALING}.get(kind, DAYS)
        deaths = _some(chosen, places, chosen.randint(1, MOST_DEATHS if kind in {"days", "reconciliation"} else 2))
        if kind == "restated":
            # Of its later reading, which another run takes.
            deaths += (chosen.choice(places),)
        children = _some(chosen, DAYS, chosen.randint(0, 1)) if kind == "reconciliation" else ()
        meddling = MEDDLING[number // len(KINDS) % len(MEDDLING)] if kind == "pages" else ""
        yield Case(number, kind, account, deaths, children, meddling)


def _some(chosen, places, count):
    return tuple(places[place] for place in sorted(chosen.sample(range(len(places)), count)))
