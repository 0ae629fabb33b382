"""How much of everything there is: users, workers, limits; and which rings lie on which master."""

from dataclasses import dataclass, replace
from itertools import count

from redis.crc import key_slot

from replica.servers.redis_nodes import MASTERS, slots
from services.gateway import admission
from steward.ratelimit import Limits, Ring
from tests.drills.gateway.users import BATCH, CONTROL, PEOPLE

#: By who asks: its model at each provider. None of them has another name at the twins, whose limits go by model.
MODELS = {
    PEOPLE: {"openai": "gpt-6-luna", "anthropic": "claude-sonnet-5-5"},
    BATCH: {"openai": "gpt-6-sol", "anthropic": "claude-haiku-5-5"},
    CONTROL: {"lenient": "gpt-6.1-sol"},
}
#: The masters on which their rings lie, so that the loss of one meets people or batches and never both providers of anybody.
_MASTERS = {
    "openai": {PEOPLE: "redis-1", BATCH: "redis-2"},
    "anthropic": {PEOPLE: "redis-2", BATCH: "redis-3"},
    "lenient": {CONTROL: "redis-1"},
}
ALIASES = {PEOPLE: ["chat"], BATCH: ["tokens", "requests"], CONTROL: ["control"]}
TENANTS = {
    PEOPLE: ("acme", "globex", "initech", "umbrella"),
    BATCH: ("night", "index", "mail"),
    CONTROL: ("one", "two"),
}


@dataclass(frozen=True)
class Scale:
    """How much of everything."""

    workers: int = 16
    window_seconds: int = 10
    people: float = 16.0
    """Requests a second."""
    batch: float = 6.0
    control: float = 20.0
    users_seconds: float = 14.0
    """How long users ask at least; where the limiter is away, until it grants again."""
    sent_seconds: float = 900.0
    """After which the sweeper gives up what was sent, whoever sent it; else once its worker's lease is over, of 15 s."""

    @property
    def policy(self):
        return replace(admission.POLICY, window_seconds=self.window_seconds)

    def limits(self, who, provider):
        """As the provider has them. People have room at either one for all of them; batches ask for twice what there is."""
        ring = self.policy.ring_seconds
        if who == PEOPLE:
            requests, tokens = int(self.people * ring * 2), int(self.people * ring * 2 * 1500)
            told = {"tokens": tokens} if provider == "openai" else {"input_tokens": tokens, "output_tokens": tokens}
            return {"requests": requests, **told}
        if who == CONTROL:
            return {"requests": int(self.control * self.window_seconds / 2)}
        requests = max(3, int(self.batch / 2 * self.window_seconds / 2))
        if who == BATCH and provider == "openai":
            # Of about 170 tokens each.
            return {"requests": 100_000, "tokens": max(requests * 170, 800)}
        return {"requests": requests}

    def rings(self, master=None):
        """(who, provider, ring, limits) of every ring, or of those that lie on *master*."""
        for who, models in MODELS.items():
            for provider, model in models.items():
                if master in {None, _MASTERS[provider][who]}:
                    kind, account = kind_of(provider), account_of(provider)
                    yield who, provider, Ring(f"{kind}:{account}:{model}"), Limits(**self.limits(who, provider))


def kind_of(provider):
    return "anthropic" if provider == "anthropic" else "openai"


def account_of(provider):
    """A name under which each of the provider's rings lies on the master that it is to lie on."""
    for number in count():
        name = f"{provider}-{number}"
        keys = {who: f"limit:{{{kind_of(provider)}:{name}:{MODELS[who][provider]}}}" for who in _MASTERS[provider]}
        if all(key_slot(key.encode()) in slots(_MASTERS[provider][who]) for who, key in keys.items()):
            return name
    raise AssertionError


assert {each for told in _MASTERS.values() for each in told.values()} == set(MASTERS)
