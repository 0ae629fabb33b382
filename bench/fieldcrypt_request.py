"""What encrypted columns add to a whole request: `python -m bench.fieldcrypt_request [PAIRS]`, last line JSON.

Two processes of the same application on one PostgreSQL: one with three encrypted columns, of which one is searched, the
other with the same columns plain. One client on loopback, connections kept open, asks both in turns, now one first, now
the other. Milliseconds are the client's, whole. Two applications are measured so, each with its twin, in the same run on
the same rows:

    request_…         the sample (tests/integration/fieldcrypt_application), which does what every application with
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
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import psutil
import sqlalchemy as sa

from bench.fieldcrypt_client import KINDS, ROWS, TENANTS, Asking, BareClient, SampleClient
from bench.fieldcrypt_cold import enrol
from bench.ground import Ground, ground, progress
from steward.migrations.apply import migrate_keyring
from tests.integration.fieldcrypt_application.deployment import Deployment, deployment, serving, token_of
from tests.integration.fieldcrypt_application.models import Customer
from tests.integration.fieldcrypt_application.plain import PlainCustomer
from tests.integration.fieldcrypt_application.rows import add_members, add_orders
from tests.integration.fieldcrypt_application.tables import AuditEntry, Base, Member, Order
from tests.integration.fresh_database import fresh_database

#: Of each kind, not counted: statements are compiled, connections opened, plans made.
WARM_UP = 50


@dataclass
class Measured:
    """A process, and what was measured of it."""

    client: Asking
    process: psutil.Process
    milliseconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    processor: dict[str, float] = field(default_factory=dict[str, float])
    """Milliseconds a request."""

    def seconds(self) -> float:
        """Processor time of the application so far."""
        times = self.process.cpu_times()
        return times.user + times.system


class Twins(NamedTuple):
    """One application twice."""

    encrypted: Measured
    plain: Measured


def measure_request(at: Ground, pairs: int = 1000) -> dict[str, Any]:
    """The figures, of *pairs* of each kind of request to each application."""
    enrol(at, TENANTS)
    with _applications(at) as applications:
        for kind in KINDS:
            for name, twins in applications.items():
                progress(f"  {pairs} pairs of requests: {name}, {kind}")
                _run(kind, twins, pairs)
    return {
        f"{name}_{figure}": value for name, twins in applications.items() for figure, value in _figures(*twins).items()
    }


@contextmanager
def _applications(at: Ground) -> Generator[dict[str, Twins]]:
    """The sample and the bare one, each with its twin: four processes, two databases with the same rows."""
    with ExitStack() as stack:
        (sample, bare), (plain, bare_plain) = (_both(at, stack, encrypted=each) for each in (True, False))
        yield {"request": Twins(sample, plain), "bare_request": Twins(bare, bare_plain)}


def _both(at: Ground, stack: ExitStack, *, encrypted: bool) -> tuple[Measured, Measured]:
    name = "encrypted" if encrypted else "plain"
    settings = stack.enter_context(fresh_database(at.settings))
    told = deployment(settings, _secrets(at), encrypted=encrypted)
    engine = sa.create_engine(told.url())
    _create_tables(engine, told)
    sample = stack.enter_context(serving(told, at.logs / f"application-{name}.log"))
    client = SampleClient(sample.url, {tenant: token_of(told, tenant) for tenant in TENANTS})
    _fill(engine, client)
    bare = stack.enter_context(serving(told, at.logs / f"bare-{name}.log", "bench.fieldcrypt_bare"))
    engine.dispose()
    return (
        Measured(client, psutil.Process(sample.pid)),
        Measured(BareClient(bare.url, client.ids), psutil.Process(bare.pid)),
    )


def _secrets(at: Ground) -> Path:
    return at.logs.parent / "application-secrets"


def _create_tables(engine: sa.Engine, told: Deployment) -> None:
    customers = Customer if told.encrypted else PlainCustomer
    tables = [Base.metadata.tables[model.__tablename__] for model in (customers, Member, Order, AuditEntry)]
    Base.metadata.create_all(engine, tables=tables)


def _fill(engine: sa.Engine, client: SampleClient) -> None:
    """Members, customers and their orders, and a look at the tables by who plans statements."""
    add_members(engine, TENANTS)
    for tenant in TENANTS:
        client.ids[tenant] = [client.write(tenant, number)[1]["id"] for number in range(ROWS)]
        add_orders(engine, tenant, client.ids[tenant])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE"))


def _run(kind: str, twins: Twins, pairs: int) -> None:
    chance = random.Random(kind)  # noqa: S311  a draw, no secret
    for _ in range(WARM_UP):
        _pair(kind, twins, chance)
    before = [twin.seconds() for twin in twins]
    for number in range(pairs):
        # Turn about, so that neither always finds the database's memory as the other left it.
        turn = twins if number % 2 else twins[::-1]
        for twin, took in zip(turn, _pair(kind, turn, chance), strict=True):
            twin.milliseconds[kind].append(took)
    for twin, began in zip(twins, before, strict=True):
        twin.processor[kind] = 1000 * (twin.seconds() - began) / pairs


def _pair(kind: str, turn: tuple[Measured, ...], chance: random.Random) -> list[float]:
    tenant, which = chance.choice(TENANTS), chance.randrange(ROWS)
    return [twin.client.milliseconds(kind, tenant, which) for twin in turn]


def _figures(encrypted: Measured, plain: Measured) -> dict[str, Any]:
    added = {kind: _median_difference(encrypted.milliseconds[kind], plain.milliseconds[kind]) for kind in KINDS}
    base = {kind: median(plain.milliseconds[kind]) for kind in KINDS}
    spent, spent_plain = sum(encrypted.processor.values()), sum(plain.processor.values())
    return {
        "overhead_percent": round(100 * sum(added.values()) / sum(base.values()), 1),
        "overhead_percent_of": {kind: round(100 * added[kind] / base[kind], 1) for kind in KINDS},
        "added_ms": {kind: round(added[kind], 3) for kind in KINDS},
        "ms": {
            kind: {"encrypted": _spread(encrypted.milliseconds[kind]), "plain": _spread(plain.milliseconds[kind])}
            for kind in KINDS
        },
        "processor_overhead_percent": round(100 * (spent - spent_plain) / spent_plain, 1),
        "processor_ms": {
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
