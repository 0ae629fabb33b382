"""What all cases stand on: workers, twins with limits, the ways between them, users. Rings are full of what batches ask."""

import asyncio
import json
import os
import random
import re
import subprocess
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from itertools import count
from urllib.parse import urlsplit

import psutil
import tomli_w
from redis.crc import key_slot

from replica import inventory, ports
from replica.server import python
from replica.servers.redis_nodes import MASTERS, slots
from replica.state import checkout
from services.gateway import admission
from services.gateway.callers import digest, new_key
from steward.clients.ratelimit import load_functions, open_limiter
from steward.clients.redis import open_redis
from steward.errors import StewardError
from steward.migrations.apply import migrate
from steward.ratelimit import Cost, Limits, Ring
from steward.ratelimit.errors import LimitReached
from steward.settings import Gateway, Provider, load
from tests.drills.gateway import cases
from tests.drills.gateway.users import BATCH, CONTROL, PEOPLE, Users
from tests.drills.gateway.wire import Wire
from tests.integration.fresh_database import fresh_database
from tests.integration.providers.ground import Twins

_UP_SECONDS = 60
#: As a supervisor leaves between two starts of one that could not.
_AGAIN_SECONDS = 2.0
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


@dataclass
class Worker:
    """A process, and the next one in its place."""

    name: str
    port: int
    process: psutil.Process | None = None
    was_up: bool = False
    """This process of it."""
    begun_at: float = 0.0

    @property
    def is_alive(self):
        with suppress(psutil.NoSuchProcess):
            return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE
        return False

    def answers(self):
        self.was_up = bool(self.get("/healthz"))
        return self.was_up

    def get(self, path):
        """Its answer; nothing where it gave none. By the plainest client: users and ways share this process's time."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.read().decode() if answer.status == HTTPStatus.OK else ""
        except (OSError, HTTPException):
            return ""
        finally:
            connection.close()


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
    folder: object
    twins: Twins
    loop: Loop
    wires: dict
    keys: dict
    nursery: subprocess.Popen
    """Makes workers."""
    chance: random.Random
    workers: list = field(default_factory=list)
    kills: list = field(default_factory=list)
    """(worker, Unix times between which it was killed)."""
    _asking: threading.Lock = field(default_factory=threading.Lock)
    seen: int = 0
    """Of the twins' record, as far as it was judged."""

    def begin(self, worker):
        """Another process in the place of *worker*, whose clock may be wrong."""
        told = {
            "skew_seconds": cases.skew(self.chance),
            "window_seconds": self.scale.window_seconds,
            "log": str(self._log(worker)),
            "arguments": [
                *("serve", "--port", str(worker.port)),
                *("--name", worker.name, "--workers", str(self.scale.workers)),
            ],
        }
        with self._asking:
            self.nursery.stdin.write(json.dumps(told) + "\n")
            self.nursery.stdin.flush()
            worker.process = psutil.Process(int(self.nursery.stdout.readline()))
        worker.was_up, worker.begun_at = False, time.monotonic()

    def kill(self, workers):
        """SIGKILL, all of *workers* at once."""
        began = time.time()
        for worker in workers:
            worker.process.kill()
        psutil.wait_procs([worker.process for worker in workers])
        self.kills += [(worker.name, began, time.time()) for worker in workers]

    def await_workers(self):
        """All of them answer. As a supervisor does: in the place of one that could not start another one is begun.

        The last words of those that ended of themselves after they had been up.
        """
        died, deadline = [], time.monotonic() + _UP_SECONDS
        while True:
            waiting = [
                worker for worker in self.workers if not (worker.is_alive and (worker.was_up or worker.answers()))
            ]
            for worker in waiting:
                if not worker.is_alive and time.monotonic() > worker.begun_at + _AGAIN_SECONDS:
                    died += [self.last_words(worker)] if worker.was_up else []
                    self.begin(worker)
            if not waiting:
                return died
            assert time.monotonic() < deadline, f"it does not answer: {self.last_words(waiting[0])}"
            time.sleep(0.2)

    def last_words(self, worker):
        return f"{worker.name}: {self._log(worker).read_text(errors='replace')[-2000:]}"

    def _log(self, worker):
        return self.folder / f"{worker.name}.log"

    def users(self, rates, seed):
        every = [(worker.name, worker.port) for worker in self.workers]
        return Users(self.loop, every, self.keys, rates, ALIASES, seed)

    def rings(self, master=None):
        """(who, provider, ring, limits) of every ring, or of those that lie on *master*."""
        for who, models in MODELS.items():
            for provider, model in models.items():
                if master in {None, _MASTERS[provider][who]}:
                    kind, account = _kind(provider), account_of(provider)
                    yield who, provider, Ring(f"{kind}:{account}:{model}"), Limits(**self.scale.limits(who, provider))

    def await_rings(self):
        """Whatever began exhausted, or was left alone because somebody asked for it, is open."""
        waiting = {ring: limits for _, _, ring, limits in self.rings()}
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
        routes = [ring.name.partition(":")[2] for _, _, ring, _ in self.rings()]
        deadline = time.monotonic() + _UP_SECONDS
        while not all(_scores(worker) == dict.fromkeys(routes, 1.0) for worker in self.workers):
            with open_redis(self.settings, "gateway") as redis:
                for route in routes:
                    redis.delete(f"gateway:{{{route}}}:health")
            assert time.monotonic() < deadline, f"routes that do not get well: {_scores(self.workers[0])}"
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


def _scores(worker):
    """By route, what *worker* thinks of it."""
    told = worker.get("/metrics")
    return {
        name: float(score)
        for name, score in re.findall(r'^steward_ai_route_score{route="(.*)"} (.*)$', told, re.MULTILINE)
    }


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
        nursery = left.enter_context(_nursery(file))
        stage = Stage(place, load(file), scale, folder, twins, loop, wires, by_who, nursery, random.Random(seed))
        _limit(stage)
        chosen = ports.choose([f"gateway-{number}" for number in range(scale.workers)], {})
        stage.workers = [Worker(name, port) for name, port in chosen.items()]
        for worker in stage.workers:
            stage.begin(worker)
        stage.await_rings()
        stage.await_workers()
        yield stage


@contextmanager
def _nursery(settings_file):
    """Workers end with it."""
    command = [python(), "-m", "tests.drills.gateway.worker"]
    environment = {**os.environ, "STEWARD_SETTINGS": str(settings_file)}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=checkout()
    ) as nursery:
        try:
            yield nursery
        finally:
            nursery.kill()


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


def _kind(provider):
    return "anthropic" if provider == "anthropic" else "openai"


def account_of(provider):
    """A name under which each of the provider's rings lies on the master that it is to lie on."""
    for number in count():
        name = f"{provider}-{number}"
        keys = {who: f"limit:{{{_kind(provider)}:{name}:{MODELS[who][provider]}}}" for who in _MASTERS[provider]}
        if all(key_slot(key.encode()) in slots(_MASTERS[provider][who]) for who, key in keys.items()):
            return name
    raise AssertionError


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
            kind=_kind(name), url=f"http://127.0.0.1:{wire.port}", key=f"file:{twins.secret_file(secrets[name])}"
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


assert {each for told in _MASTERS.values() for each in told.values()} == set(MASTERS)
