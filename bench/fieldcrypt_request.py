"""What encrypted columns add to a whole request: `python -m bench.fieldcrypt_request [PAIRS]`, last line JSON.

Two processes of the same application on one PostgreSQL: one with three encrypted columns, of which one is searched, the
other with the same columns plain. One client on loopback, connections kept open, asks both in turns, now one first, now
the other. Milliseconds are the client's, whole. Processes are started anew for each of six rounds. Two applications are
measured so, each with its twin, in the same run on the same rows:

    request_…         the sample (demo/customers), which does what every application with
                      tenants does. Each request: a signed session is checked, the member's role is looked up in the
                      transaction of the work, a line goes to the access log. read: a customer's page, one row by its id
                      with three fields decrypted and its ten latest orders; write: input is checked, one row with three
                      fields encrypted and one index, one entry in the audit trail; search: input is checked, one row by
                      equality, decrypted
    bare_request_…    the least there can be (bench/fieldcrypt_bare.py): one SELECT of one row by its id, one INSERT, or
                      one SELECT by equality, and nothing of all that

and of both is told:

    …_overhead_percent             over the mix of one read, one write and one search: the medians of the pairs'
                                   differences, summed, over the plain medians, summed; goal for the sample: below 5
    …_overhead_percent_of          of each kind alone
    …_overhead_percent_rounds      of each round alone: how far one may trust the figure
    …_added_ms                     the medians of the pairs' differences: what an application whose requests take longer
                                   or shorter than these has to expect
    …_ms                           p50 and p95 of each kind, encrypted and plain
    …_processor_overhead_percent   the same of the application's processor time alone, without the database's and the
                                   client's: what a server that is busy throughout loses in throughput
    …_processor_ms                 processor time a request of each kind, encrypted and plain
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import product
from statistics import fmean, median, quantiles
from typing import Any, NamedTuple

import psutil
import sqlalchemy as sa

from bench.fieldcrypt_client import KINDS, ROWS, TENANTS, Asking, BareClient, SampleClient
from bench.fieldcrypt_cold import enrol
from bench.ground import Ground, ground, progress
from demo.customers.deployment import Deployment, deployment, serving, token_of
from demo.customers.models import Customer
from demo.customers.plain import PlainCustomer
from demo.customers.rows import add_members, add_orders
from demo.customers.tables import AuditEntry, Base, Member, Order
from steward.migrations.apply import migrate_keyring
from tests.integration.fresh_application import fresh_application

#: Of each kind and round, not counted: statements are compiled, connections opened, plans made.
WARM_UP = 50
#: Each with processes of its own. Two processes of the same code differ by up to 0.1 ms a request for as long as they
#: live, by where their memory and their hashes happen to lie.
ROUNDS = 6


@dataclass
class Times:
    """Of one application with encrypted columns, or of its twin."""

    milliseconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    processor: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    """Milliseconds a request, in each round."""


@dataclass(frozen=True)
class Asked:
    """A process, who asks it, and what that takes."""

    client: Asking
    process: psutil.Process
    times: Times = field(default_factory=Times)

    def spent(self) -> float:
        """Milliseconds of processor time so far."""
        times = self.process.cpu_times()
        return 1000 * (times.user + times.system)


Twins = tuple[Asked, Asked]
"""Encrypted, plain."""


class Side(NamedTuple):
    """The rows of both applications, encrypted or plain, in a database of their own."""

    name: str
    told: Deployment
    ids: dict[str, list[str]]


def measure_request(at: Ground, pairs: int = 1200) -> dict[str, Any]:
    """The figures, of *pairs* of each kind of request to each application."""
    enrol(at, TENANTS)
    rounds: dict[str, list[Twins]] = {"request": [], "bare_request": []}
    with ExitStack() as stack:
        sides = [_side(at, stack, name) for name in ("encrypted", "plain")]
        for number in range(ROUNDS):
            progress(f"  round {number + 1} of {ROUNDS}: {pairs // ROUNDS} pairs of each kind of request")
            with _applications(at, sides) as applications:
                for kind, (name, twins) in product(KINDS, applications.items()):
                    _run(kind, twins, pairs // ROUNDS, random.Random(f"{kind} {number}"))  # noqa: S311  a draw
                    rounds[name] += [twins] if kind == KINDS[0] else []
    return {f"{name}_{figure}": value for name, each in rounds.items() for figure, value in _figures(each).items()}


def _side(at: Ground, stack: ExitStack, name: str) -> Side:
    settings = stack.enter_context(fresh_application(at.settings))
    told = deployment(settings, at.logs.parent / "application-secrets", encrypted=name == "encrypted")
    side = Side(name, told, {tenant: [] for tenant in TENANTS})
    engine = sa.create_engine(told.url())
    _create_tables(engine, told)
    with _sample(at, side) as sample:
        _fill(engine, sample.client)
    engine.dispose()
    return side


@contextmanager
def _applications(at: Ground, sides: list[Side]) -> Generator[dict[str, Twins]]:
    """Four processes."""
    with ExitStack() as stack:
        sample, plain = (stack.enter_context(_sample(at, side)) for side in sides)
        bare, bare_plain = (stack.enter_context(_bare(at, side)) for side in sides)
        yield {"request": (sample, plain), "bare_request": (bare, bare_plain)}


@contextmanager
def _sample(at: Ground, side: Side) -> Generator[Asked]:
    tokens = {tenant: token_of(side.told, tenant) for tenant in TENANTS}
    with serving(side.told, at.logs / f"application-{side.name}.log") as served:
        yield Asked(SampleClient(served.url, side.ids, tokens), psutil.Process(served.pid))


@contextmanager
def _bare(at: Ground, side: Side) -> Generator[Asked]:
    with serving(side.told, at.logs / f"bare-{side.name}.log", "bench.fieldcrypt_bare") as served:
        yield Asked(BareClient(served.url, side.ids), psutil.Process(served.pid))


def _create_tables(engine: sa.Engine, told: Deployment) -> None:
    customers = Customer if told.encrypted else PlainCustomer
    tables = [Base.metadata.tables[model.__tablename__] for model in (customers, Member, Order, AuditEntry)]
    Base.metadata.create_all(engine, tables=tables)


def _fill(engine: sa.Engine, client: Asking) -> None:
    """Members, customers and their orders, and a look at the tables by who plans statements."""
    add_members(engine, TENANTS)
    for tenant in TENANTS:
        client.ids[tenant] = [client.write(tenant, number)[1]["id"] for number in range(ROWS)]
        add_orders(engine, tenant, client.ids[tenant])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))


def _run(kind: str, twins: Twins, pairs: int, chance: random.Random) -> None:
    for _ in range(WARM_UP):
        _pair(kind, twins, chance)
    before = [twin.spent() for twin in twins]
    for number in range(pairs):
        # Turn about, so that neither always finds the database's memory as the other left it.
        turn = twins if number % 2 else twins[::-1]
        for twin, took in zip(turn, _pair(kind, turn, chance), strict=True):
            twin.times.milliseconds[kind].append(took)
    for twin, began in zip(twins, before, strict=True):
        twin.times.processor[kind].append((twin.spent() - began) / pairs)


def _pair(kind: str, turn: Sequence[Asked], chance: random.Random) -> list[float]:
    tenant, which = chance.choice(TENANTS), chance.randrange(ROWS)
    return [twin.client.milliseconds(kind, tenant, which) for twin in turn]


def _figures(rounds: list[Twins]) -> dict[str, Any]:
    encrypted, plain = (_together(asked.times for asked in side) for side in zip(*rounds, strict=True))
    added, base = _added(encrypted, plain), _median(plain.milliseconds)
    spent, spent_plain = _mean(encrypted.processor), _mean(plain.processor)
    return {
        "overhead_percent": _percent(added, base),
        "overhead_percent_of": {kind: round(100 * added[kind] / base[kind], 1) for kind in KINDS},
        "overhead_percent_rounds": [
            _percent(_added(one.times, other.times), _median(other.times.milliseconds)) for one, other in rounds
        ],
        "added_ms": {kind: round(added[kind], 3) for kind in KINDS},
        "ms": {
            kind: {"encrypted": _spread(encrypted.milliseconds[kind]), "plain": _spread(plain.milliseconds[kind])}
            for kind in KINDS
        },
        "processor_overhead_percent": _percent({kind: spent[kind] - spent_plain[kind] for kind in KINDS}, spent_plain),
        "processor_ms": {
            kind: {"encrypted": round(spent[kind], 2), "plain": round(spent_plain[kind], 2)} for kind in KINDS
        },
    }


def _together(rounds: Iterable[Times]) -> Times:
    together = Times()
    for times, kind in product(rounds, KINDS):
        together.milliseconds[kind] += times.milliseconds[kind]
        together.processor[kind] += times.processor[kind]
    return together


def _added(encrypted: Times, plain: Times) -> dict[str, float]:
    return {
        kind: median(
            one - other for one, other in zip(encrypted.milliseconds[kind], plain.milliseconds[kind], strict=True)
        )
        for kind in KINDS
    }


def _median(times: dict[str, list[float]]) -> dict[str, float]:
    return {kind: median(each) for kind, each in times.items()}


def _mean(times: dict[str, list[float]]) -> dict[str, float]:
    return {kind: fmean(each) for kind, each in times.items()}


def _percent(added: dict[str, float], base: dict[str, float]) -> float:
    """Over the mix of one request of each kind."""
    return round(100 * sum(added.values()) / sum(base.values()), 1)


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
