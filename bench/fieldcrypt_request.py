"""What encrypted columns add to a whole request: `python -m bench.fieldcrypt_request [PAIRS]`, last line JSON.

Two processes of the same application (tests/integration/fieldcrypt_application) on one PostgreSQL: one with three
encrypted columns, of which one is searched, the other with the same columns plain. One client on loopback, connections
kept open, asks both in turns, now one first, now the other. Milliseconds are the client's, whole:

    request_overhead_percent             over the mix of one read, one write and one search: the medians of the pairs'
                                         differences, summed, over the plain medians, summed; goal: below 5
    request_overhead_percent_of          read: one row by its id, three fields decrypted; write: one row, three fields
                                         encrypted and one index; search: one row by equality, decrypted
    request_added_ms                     the medians of the pairs' differences: what an application whose requests take
                                         longer than these 2 ms has to expect
    request_ms                           p50 and p95 of each kind, encrypted and plain
    request_processor_overhead_percent   the same of the application's processor time alone, without the database's and
                                         the client's: what a server that is busy throughout loses in throughput
    request_processor_ms                 processor time a request of each kind, encrypted and plain
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any
from urllib.parse import quote, urlsplit

import psutil
import sqlalchemy as sa

from bench.fieldcrypt_cold import enrol
from bench.ground import Ground, ground, progress
from steward.errors import StewardError
from steward.migrations.apply import migrate_keyring
from tests.integration.fieldcrypt_application.deployment import Deployment, deployment, serving, token_of
from tests.integration.fieldcrypt_application.models import Base
from tests.integration.fieldcrypt_application.plain import PlainBase
from tests.integration.fresh_database import fresh_database

TENANTS = [f"bench-request-{number}" for number in range(10)]
#: So many of each tenant, that indexes are worth their use and the tables stay in memory.
ROWS = 100
#: Of each kind, not counted: statements are compiled, connections opened, plans made.
WARM_UP = 50
KINDS = ("read", "write", "search")


class RequestUnmeasured(StewardError):
    """The application did not answer as it should: its times would be those of something else."""


class Client:
    """One connection to one of the two applications, and how long it took to answer."""

    def __init__(self, url: str) -> None:
        where = urlsplit(url)
        self._connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        self.ids: dict[str, list[str]] = {tenant: [] for tenant in TENANTS}

    def ask(self, method: str, path: str, tenant: str, body: Any = None) -> tuple[float, Any]:
        """Milliseconds, and the answer. Raises RequestUnmeasured."""
        content = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {token_of(tenant)}", "Content-Type": "application/json"}
        began = time.perf_counter()
        self._connection.request(method, path, content, headers)
        answer = self._connection.getresponse()
        raw = answer.read()
        took = 1000 * (time.perf_counter() - began)
        if answer.status >= http.client.MULTIPLE_CHOICES:
            raise RequestUnmeasured(f"{method} {path} was answered with {answer.status}: {raw[:200]!r}")
        return took, json.loads(raw)

    def create(self, tenant: str, number: int) -> float:
        """One row, whose email is searched afterwards."""
        took, row = self.ask("POST", "/customers", tenant, _customer(tenant, number))
        self.ids[tenant].append(row["id"])
        return took


@dataclass
class Twin:
    """One of the two, and what was measured of it."""

    client: Client
    process: psutil.Process
    milliseconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    processor: dict[str, float] = field(default_factory=dict[str, float])
    """Milliseconds a request."""

    def seconds(self) -> float:
        """Processor time of the application so far."""
        times = self.process.cpu_times()
        return times.user + times.system


def measure_request(at: Ground, pairs: int = 1000) -> dict[str, Any]:
    """The figures, of *pairs* of each kind of request."""
    enrol(at, TENANTS)
    with _twins(at) as (encrypted, plain):
        for kind in KINDS:
            progress(f"  {pairs} pairs of requests: {kind}")
            _run(kind, encrypted, plain, pairs)
    return _figures(encrypted, plain)


@contextmanager
def _twins(at: Ground) -> Generator[tuple[Twin, Twin]]:
    """Both, with the same rows."""
    with ExitStack() as stack:
        twins = [_twin(at, stack, name) for name in ("encrypted", "plain")]
        for tenant in TENANTS:
            for number in range(ROWS):
                for twin in twins:
                    twin.client.create(tenant, number)
        yield twins[0], twins[1]


def _twin(at: Ground, stack: ExitStack, name: str) -> Twin:
    settings = stack.enter_context(fresh_database(at.settings))
    told = deployment(settings, TENANTS, encrypted=name == "encrypted")
    _create_tables(told)
    served = stack.enter_context(serving(told, at.logs / f"application-{name}.log"))
    return Twin(Client(served.url), psutil.Process(served.pid))


def _create_tables(told: Deployment) -> None:
    engine = sa.create_engine(told.url())
    (Base if told.encrypted else PlainBase).metadata.create_all(engine)
    engine.dispose()


def _run(kind: str, encrypted: Twin, plain: Twin, pairs: int) -> None:
    chance = random.Random(kind)  # noqa: S311  a draw, no secret
    for _ in range(WARM_UP):
        _pair(kind, (encrypted, plain), chance)
    before = encrypted.seconds(), plain.seconds()
    for number in range(pairs):
        # Turn about, so that neither always finds the database's memory as the other left it.
        turn = (encrypted, plain) if number % 2 else (plain, encrypted)
        for twin, took in zip(turn, _pair(kind, turn, chance), strict=True):
            twin.milliseconds[kind].append(took)
    for twin, began in zip((encrypted, plain), before, strict=True):
        twin.processor[kind] = 1000 * (twin.seconds() - began) / pairs


def _pair(kind: str, turn: tuple[Twin, Twin], chance: random.Random) -> list[float]:
    tenant, which = chance.choice(TENANTS), chance.randrange(ROWS)
    return [_ASK[kind](twin.client, tenant, which) for twin in turn]


def _read(client: Client, tenant: str, which: int) -> float:
    return client.ask("GET", f"/customers/{client.ids[tenant][which]}", tenant)[0]


def _write(client: Client, tenant: str, which: int) -> float:
    # Beyond those that are searched for.
    return client.create(tenant, ROWS + which)


def _search(client: Client, tenant: str, which: int) -> float:
    took, rows = client.ask("GET", f"/customers?email={quote(_customer(tenant, which)['email'])}", tenant)
    if [row["id"] for row in rows] != [client.ids[tenant][which]]:
        raise RequestUnmeasured(f"a search found {len(rows)} rows, expected the one that was written")
    return took


_ASK: dict[str, Callable[[Client, str, int], float]] = {"read": _read, "write": _write, "search": _search}


def _customer(tenant: str, number: int) -> dict[str, str]:
    return {
        "email": f"customer-{number}@{tenant}.example",
        "born": "1815-12-10",
        "notes": f"customer {number} prefers letters, and to be called in the morning; twice a year is enough",
    }


def _figures(encrypted: Twin, plain: Twin) -> dict[str, Any]:
    added = {kind: _median_difference(encrypted.milliseconds[kind], plain.milliseconds[kind]) for kind in KINDS}
    base = {kind: median(plain.milliseconds[kind]) for kind in KINDS}
    spent, spent_plain = sum(encrypted.processor.values()), sum(plain.processor.values())
    return {
        "request_overhead_percent": round(100 * sum(added.values()) / sum(base.values()), 1),
        "request_overhead_percent_of": {kind: round(100 * added[kind] / base[kind], 1) for kind in KINDS},
        "request_added_ms": {kind: round(added[kind], 3) for kind in KINDS},
        "request_ms": {
            kind: {"encrypted": _spread(encrypted.milliseconds[kind]), "plain": _spread(plain.milliseconds[kind])}
            for kind in KINDS
        },
        "request_processor_overhead_percent": round(100 * (spent - spent_plain) / spent_plain, 1),
        "request_processor_ms": {
            kind: {"encrypted": round(encrypted.processor[kind], 2), "plain": round(plain.processor[kind], 2)}
            for kind in KINDS
        },
    }


def _median_difference(encrypted: list[float], plain: list[float]) -> float:
    return median(one - other for one, other in zip(encrypted, plain, strict=True))


def _spread(milliseconds: list[float]) -> dict[str, float]:
    return {"p50": round(median(milliseconds), 2), "p95": round(quantiles(milliseconds, n=20)[-1], 2)}


def main(arguments: list[str]) -> int:
    """On a replica of its own."""
    with ground(("postgres", "keyvault")) as at:
        migrate_keyring(at.settings)
        print(json.dumps(measure_request(at, *map(int, arguments))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
