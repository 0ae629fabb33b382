"""Providers' keys rotated, killed wherever: one living key that is in use, none that nobody has, none lost.

`STEWARD_DRILL_CASES` says how many: one by default, more by `make drill-provider-keys`. What the providers have is
judged by their own administrations, and not by the ledger.
"""

import os
import random
from typing import NamedTuple

import pytest

from steward.verdicts import Verdict
from tests.flows.killed_runs import Death
from tests.flows.provider_keys_ground import ground, laid

pytestmark = pytest.mark.without_search

__all__ = ["ground", "laid"]

CASES = int(os.environ.get("STEWARD_DRILL_CASES", "1"))
SEED = int(os.environ.get("STEWARD_DRILL_SEED", "20250731"))
#: One attempt fewer than the ledger lets a round have.
MOST_DEATHS = 4

_VAULT, _KEYS = "steward.clients.keyvault_secret_versions:VersionedSecrets", "steward.clients.provider_keys_"
PUT, MARK, AWAY, DISABLE = (Death("call", f"{_VAULT}.{each}") for each in ("put", "mark", "put_away", "disable"))
REVOKE = {
    "openai": Death("call", f"{_KEYS}openai:OpenAIKeys.revoke"),
    "anthropic": Death("call", f"{_KEYS}anthropic:AnthropicKeys.revoke"),
}


def points(kind):
    """Where a run may die, in the order in which it comes there."""
    within = {
        # Of OpenAI a key was made then, and nobody has its secret.
        "take_new_key": PUT if kind == "openai" else MARK,
        "switch_secret": PUT,
        "revoke_old_keys": REVOKE[kind],
        "tidy_up": DISABLE,
    }
    steps = [
        "begin_rotation",
        "take_new_key",
        "probe_new_key",
        "switch_secret",
        "await_workers",
        "await_attempts",
        "revoke_old_keys",
        "prove_rotation",
        "tidy_up",
        "conclude_rotation",
        "record_rotation_evidence",
        "show_rotation",
    ]
    for step in steps:
        yield Death("before", step)
        if step in within:
            yield within[step]
        if step == "tidy_up":
            yield AWAY
        yield Death("after", step)


class Case(NamedTuple):
    number: int
    kind: str
    deaths: tuple[Death, ...]

    def __str__(self) -> str:
        places = ", ".join(f"{each.at} {each.step.rpartition(':')[2]}" for each in self.deaths)
        return f"{self.number} {self.kind}: {places}"


#: What is dearest: a key whose secret is lost, and the two ends of the time in which both keys work.
FIRST = [
    Case(0, "openai", (PUT, Death("after", "switch_secret"), Death("after", "revoke_old_keys"))),
    Case(1, "anthropic", (Death("after", "take_new_key"), Death("after", "tidy_up"))),
]


def draw(seed, count):
    chosen = random.Random(seed)
    for number in range(len(FIRST), count):
        kind = ("openai", "anthropic")[number % 2]
        places = list(points(kind))
        picked = sorted(chosen.sample(range(len(places)), chosen.randint(1, MOST_DEATHS)))
        yield Case(number, kind, tuple(places[place] for place in picked))


DRAWN = [*FIRST, *draw(SEED, CASES)][:CASES]


@pytest.mark.parametrize("case", DRAWN, ids=str)
def test_killed_wherever_it_leaves_one_living_key_and_none_that_nobody_has(ground, case, record_property):
    # Untagged: the provider's hint tells which key it is.
    account = ground.account(case.kind, pool=2, tagged=False)
    living = set(ground.living(account))
    ground.killed(account, "killed", *case.deaths)
    report = ground.run(account, "killed")
    assert (report.verdict, report.facts.revoked) == (Verdict.VERIFIED, (report.begun.old[0].id,))
    new, (old,) = report.facts.new.id, report.begun.old
    assert ground.in_use(account) == new
    made = {new} if case.kind == "openai" else set()
    assert set(ground.living(account)) == living - {old.id} | made
    assert ground.pool(account) == dict.fromkeys(account.pool[1:], "available")
    assert len(ground.put_aside(account)) == len(account.pool[1:])
    assert [each.figures["new_key"] for each in ground.statements(account)] == [new]
    # Done: nothing is done again.
    assert ground.run(account, "killed") == report
    record_property(case.kind, {"cases": 1, "deaths": len(case.deaths)})
