"""What happens to the gateway, and when: drawn by a seed."""

import random
from dataclasses import dataclass

from tests.drills.gateway.wire import EVEN, NONE, WAVES

#: One worker killed, several at once; our own servers; a provider that cuts every connection, or takes none; errors,
#: limits that somebody else uses, and slowness, of both providers.
WORKER, WORKERS, POSTGRES, REDIS = "worker", "workers", "postgres", "redis"
DARK, UNREACHABLE, DIALS = "dark", "unreachable", "dials"
#: In which one provider is away and nothing else of which a request may die.
ONE_DARK = ({DARK}, {UNREACHABLE}, {DARK, WORKER}, {UNREACHABLE, WORKERS})
DECK = (
    (WORKER,),
    (WORKERS,),
    (POSTGRES,),
    (REDIS,),
    (DARK,),
    (UNREACHABLE,),
    (DIALS,),
    (DARK, WORKER),
    (UNREACHABLE, WORKERS),
    (POSTGRES, WORKERS),
    (REDIS, DARK),
    (DIALS, POSTGRES),
)
#: Without what other tests of the same servers would feel, or what takes long.
GENTLE = ((DARK, WORKER),)
#: By how many seconds clocks of workers are wrong that are: half of them by minutes, half by hours.
_OFF = ((60, 900), (3600, 14_400))
PROVIDERS = ("openai", "anthropic")


@dataclass(frozen=True)
class Case:
    """Faults that overlap, each from its own moment on."""

    number: int
    faults: tuple
    at: tuple
    """Seconds after the case began, of each."""
    away_seconds: float
    """How long PostgreSQL or a provider is away."""
    provider: str
    master: str
    several: int
    """Workers that are killed at once."""
    delays: str
    seed: int

    @property
    def kind(self):
        return " and ".join(self.faults)

    @property
    def is_one_dark(self):
        return set(self.faults) in ONE_DARK

    def __str__(self) -> str:
        slow = "" if self.delays == NONE else f", {self.delays} delays"
        return f"{self.number}: {self.kind}{slow}"


def draw(seed, count, deck=DECK, *, workers=16, dark_seconds=(8.0, 12.0)):
    """*count* cases, the first of them the same whatever the count. No kind comes twice before all have."""
    chance, left, cases = random.Random(seed), [], []
    for number in range(count):
        if not left:
            left = [*deck]
            chance.shuffle(left)
        faults = left.pop()
        provided = any(each in {DARK, UNREACHABLE} for each in faults)
        cases.append(
            Case(
                number,
                faults,
                tuple(chance.uniform(1.0, 4.0) for _ in faults),
                chance.uniform(*dark_seconds) if provided else chance.uniform(0.5, 6.0),
                chance.choice(PROVIDERS),
                chance.choice(("redis-1", "redis-2", "redis-3")),
                chance.randint(2, workers // 2),
                chance.choice((NONE, EVEN, EVEN, WAVES)),
                chance.randrange(2**31),
            )
        )
    return cases


def skew(chance):
    """By how many seconds a worker's clock is wrong: that of every fourth one."""
    if chance.random() < 0.75:
        return 0
    return chance.choice((-1, 1)) * chance.randint(*chance.choice(_OFF))
