"""Users at a constant rate, through a balancer that goes round the workers and asks nobody twice.

Only where the worker whose turn it is refuses the connection, for it was killed, the next one is asked, as any balancer would.
"""

import asyncio
import itertools
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus

from bench.http_client import request

PEOPLE, BATCH, CONTROL = "people", "batch", "control"
_PATIENCE_SECONDS = 90
_LONG = "The quay, the crane, the barge and the tide. " * 110
_LIMITED, _UNAVAILABLE = HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE


@dataclass
class Asked:
    """One request; times are Unix times. `outcome`: answered, limited, unavailable, broken, failed."""

    who: str
    worker: str
    began: float
    ended: float = 0.0
    outcome: str = "failed"
    told: str = ""


@dataclass
class Users:
    """Whoever asks: `start`, `stop`, and what became of each request in `asked`."""

    loop: object
    workers: object
    """(name, port) of each, whether it lives or not."""
    keys: dict
    rates: dict
    """By who asks, requests a second."""
    aliases: dict
    """By who asks, the models it asks for in turn."""
    seed: int
    asked: list = field(default_factory=list)
    told: Counter = field(default_factory=Counter)
    _running: list = field(default_factory=list)

    def start(self):
        self._turn = itertools.cycle(self.workers)
        self._running = [self.loop.begin(self._population(who, rate)) for who, rate in self.rates.items()]

    def stop(self):
        """Nobody asks any more, and what was asked is answered."""
        for each in self._running:
            each.cancel()
        self.loop.run(self._ended())

    async def _ended(self):
        while tasks := [task for task in asyncio.all_tasks() if task.get_name() == "user"]:
            await asyncio.wait(tasks)

    async def _population(self, who, rate):
        loop, chance, under_way = asyncio.get_running_loop(), random.Random(f"{self.seed}:{who}"), set()
        began = loop.time()
        for number in itertools.count():
            await asyncio.sleep(began + number / rate - loop.time())
            model = self.aliases[who][number % len(self.aliases[who])]
            task = loop.create_task(
                self._ask(who, *_drawn(who, model, chance), chance.choice(self.keys[who])), name="user"
            )
            under_way.add(task)
            task.add_done_callback(under_way.discard)

    async def _ask(self, who, path, body, key):
        began = time.time()
        for _ in range(2 * len(self.workers)):
            name, port = next(self._turn)
            one = Asked(who, name, began)
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    status, answer = await request(f"http://127.0.0.1:{port}", "POST", path, _headers(key), body)
            except ConnectionRefusedError:
                self.told["refused"] += 1
                continue
            except TimeoutError:
                one.told = f"no answer within {_PATIENCE_SECONDS} s"
            except (OSError, EOFError, ValueError, IndexError) as error:
                one.outcome, one.told = "broken", type(error).__name__
            else:
                one.outcome, one.told = _outcome(path, body, status, answer)
            break
        else:
            one.told = "every worker refuses connections"
        one.ended = time.time()
        self.asked.append(one)


def _headers(key):
    return {"authorization": f"Bearer {key}", "anthropic-version": "2023-06-01"}


def _drawn(who, model, chance):
    """(path, body) of a request like any other of *who*."""
    text = f"{chance.random()} Which way is the sea?"
    if who == PEOPLE and chance.random() < 0.2:
        text = _LONG + text[:3]
    most, stream = (300 if who == PEOPLE else 120), chance.random() < 0.5
    body = {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": most, "stream": stream}
    if chance.random() < 0.5:
        return "/v1/messages", body
    return "/v1/chat/completions", body


def _outcome(path, body, status, answer):
    if status == HTTPStatus.OK:
        if not body["stream"]:
            return "answered", ""
        last = b"data: [DONE]" if path == "/v1/chat/completions" else b"message_stop"
        return ("answered", "") if last in answer[-200:] else ("failed", f"a stream that ends with {answer[-200:]!r}")
    kinds = {_LIMITED: "limited", _UNAVAILABLE: "unavailable"}
    return kinds.get(status, "failed"), f"{status} {answer[:200].decode(errors='replace')}"
