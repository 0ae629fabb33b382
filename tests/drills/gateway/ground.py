"""What all cases stand on: workers, twins with limits, the ways between them, users. Rings are full of what batches ask."""

import asyncio
import random
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import tomli_w

from replica import inventory, ports
from services.gateway.callers import digest, new_key
from steward.clients.ratelimit import load_functions, open_limiter
from steward.clients.redis import open_redis
from steward.errors import StewardError
from steward.migrations.apply import migrate
from steward.ratelimit import Cost
from steward.ratelimit.errors import LimitReached
from steward.settings import Gateway, Provider, load
from tests.drills.gateway.scale import ALIASES, MODELS, TENANTS, Scale, account_of, kind_of
from tests.drills.gateway.users import BATCH, CONTROL, PEOPLE, Users
from tests.drills.gateway.wire import Wire
from tests.drills.gateway.workers import Workers, begun
from tests.integration.fresh_database import fresh_database
from tests.testbed.providers.ground import Twins

_UP_SECONDS = 60


class Loop:
    """An event loop in a thread: ways and users live in it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop", daemon=True)
        self._thread.start()

    def begin(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    def run(self, coroutine):
        return self.begin(coroutine).result()

    def close(self):
        self.run(_cancelled())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancelled():
    """Every other task of the loop, to its end."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for each in others:
        each.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@dataclass
class Stage:
    """Up for all cases."""

    place: object
    settings: object
    scale: Scale
    twins: Twins
    loop: Loop
    wires: dict
    keys: dict
    workers: Workers
    chance: random.Random
    seen: int = 0
    """Of the twins' record, as far as it was judged."""

    def users(self, rates, seed):
        every = [(worker.name, worker.port) for worker in self.workers.all]
        return Users(self.loop, every, self.keys, rates, ALIASES, seed)

    def await_rings(self):
        """Whatever began exhausted, or was left alone because somebody asked for it, is open."""
        waiting = {ring: limits for _, _, ring, limits in self.scale.rings()}
        deadline = time.monotonic() + 3 * self.scale.policy.ring_seconds + 30
        while waiting:
            with suppress(StewardError), open_limiter(self.settings) as limiter:
                for ring, limits in list(waiting.items()):
                    state = limiter.show(ring, limits)
                    if state.known and not state.stale and not state.opens_in_seconds and not state.blocked_seconds:
                        del waiting[ring]
                    elif not state.known or state.stale:
                        with suppress(LimitReached):
                            limiter.cancel(limiter.reserve(ring, limits, self.scale.policy, "nobody", Cost(1)))
            assert time.monotonic() < deadline, f"rings that do not open: {[ring.name for ring in waiting]}"
            time.sleep(0.1)

    def await_health(self):
        """What earlier cases made of the routes is forgotten, by Redis and by every worker."""
        routes = [ring.name.partition(":")[2] for _, _, ring, _ in self.scale.rings()]
        deadline = time.monotonic() + _UP_SECONDS
        while not all(worker.scores == dict.fromkeys(routes, 1.0) for worker in self.workers.all):
            with open_redis(self.settings, "gateway") as redis:
                for route in routes:
                    redis.delete(f"gateway:{{{route}}}:health")
            assert time.monotonic() < deadline, f"routes that do not get well: {self.workers.all[0].scores}"
            time.sleep(0.5)

    def truths(self):
        """What came in since the last look, once all of it is over."""
        deadline = time.monotonic() + _UP_SECONDS
        while True:
            found, after = [], self.seen
            while True:
                page = self.twins.admin("GET", "/attempts", after=after, limit=10_000)
                found, after = found + page["data"], page["last"]
                if not page["has_more"]:
                    break
            if all(each["ended_at"] is not None for each in found):
                return found, after
            assert time.monotonic() < deadline, "attempts that do not end at the twins"
            time.sleep(0.1)


@contextmanager
def staged(place, folder, scale, seed):
    """Servers, twins, workers, all up and with open rings."""
    with ExitStack() as left:
        settings = left.enter_context(fresh_database(load(inventory.settings_file(place))))
        migrate(settings)
        load_functions(settings)
        twins = Twins(folder, {"window_seconds": float(scale.window_seconds)})
        twins.start()
        left.callback(twins.kill)
        loop = Loop()
        left.callback(loop.close)
        wires = _wires(twins, scale, seed)
        for wire in wires.values():
            loop.run(wire.open())
            left.callback(lambda wire=wire: loop.run(wire.shut()))
        keys = {tenant: new_key() for tenants in TENANTS.values() for tenant in tenants}
        file = _described(settings, folder, scale=scale, twins=twins, wires=wires, keys=keys)
        by_who = {who: [keys[tenant] for tenant in tenants] for who, tenants in TENANTS.items()}
        chance = random.Random(seed)
        workers = left.enter_context(begun(file, scale.workers, scale.window_seconds, chance))
        stage = Stage(place, load(file), scale, twins, loop, wires, by_who, workers, chance)
        _limit(stage)
        stage.await_rings()
        workers.await_up()
        yield stage


def _wires(twins, scale, seed):
    there = {"openai": twins.openai_url, "anthropic": twins.anthropic_url, "lenient": twins.openai_url}
    chosen = ports.choose([f"wire-{name}" for name in there], {})
    return {
        name: Wire(
            chosen[f"wire-{name}"],
            urlsplit(url).port,
            seed=seed,
            # Or the limiter would learn from the first answer that its limits are too high.
            silent=name == "lenient",
            span_seconds=float(scale.window_seconds),
        )
        for name, url in there.items()
    }


def _described(settings, folder, *, scale, twins, wires, keys):
    """The settings' file of workers, with catalog and callers beside it."""

    def route(who, provider, more=1.0):
        limits = {name: int(limit * more) for name, limit in scale.limits(who, provider).items()}
        model = MODELS[who][provider]
        return {"account": account_of(provider), "model": model, "most_output_tokens": 500, "limits": limits}

    catalog = [
        {"name": "chat", "route": [route(PEOPLE, "openai"), route(PEOPLE, "anthropic")]},
        {"name": "tokens", "route": [route(BATCH, "openai")]},
        {"name": "requests", "route": [route(BATCH, "anthropic")]},
        # Above what the provider has: whoever judges has to see it.
        {"name": "control", "route": [route(CONTROL, "lenient", 1.1)]},
    ]
    callers = [{"id": tenant, "sha256": digest(key), "tenant": tenant} for tenant, key in keys.items()]
    (folder / "catalog.toml").write_text(tomli_w.dumps({"alias": catalog}))
    (folder / "callers.toml").write_text(tomli_w.dumps({"caller": callers}))
    secrets = {"openai": "o1", "anthropic": "a1", "lenient": "o1"}
    providers = {
        account_of(name): Provider(
            kind=kind_of(name), url=f"http://127.0.0.1:{wire.port}", key=f"file:{twins.secret_file(secrets[name])}"
        )
        for name, wire in wires.items()
    }
    described = Gateway(catalog=folder / "catalog.toml", callers=folder / "callers.toml")
    settings = settings.model_copy(update={"providers": providers, "gateway": described})
    file = folder / "settings.toml"
    file.write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))
    return file


def _limit(stage):
    """The twins enforce, by a log of their own."""
    limits = [
        {
            "account": "anthropic-main" if provider == "anthropic" else "openai-main",
            "model": model,
            **stage.scale.limits(who, provider),
        }
        for who, models in MODELS.items()
        for provider, model in models.items()
    ]
    stage.twins.admin("PUT", "/limits", {"mode": "enforce", "limits": limits})
