"""The drill's ground: two days that the twins bill, in two ledgers, and for each case a copy of one of them.

In the one all hours are sealed. In the other the last hours of the last day are rows still, as the gateway leaves them.
Copies are PostgreSQL's own, so that a case begins in a second, and with nothing that another one has left.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
import tempfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from psycopg import sql

from demo.costs.incidents import ANTHROPIC, OPENAI, Incident
from demo.costs.laying import TENANTS, lay_month
from demo.costs.sides import Sides, Span, hours_between
from demo.costs.twins import TwinsAdministration
from replica.server import Place
from steward.ai.sealing import HOUR
from steward.clients.attempts_parquet import COLUMNS
from steward.settings import Costs, Settings
from tests.flows.costs_ground import SHIPPED
from tests.flows.provider_ground import provider_ground, written
from tests.integration.attempts_ground import past
from tests.integration.fresh_database import changed, superuser
from tests.keyring_ground import query
from tests.testbed.providers.ground import Twins

_OTHER_LOG = (
    "ALTER TABLE steward.log DISABLE TRIGGER USER",
    "UPDATE steward.log SET id = gen_random_uuid()",
    "ALTER TABLE steward.log ENABLE ALWAYS TRIGGER append_only",
)
ATTEMPTS, SEED, DAYS = 400, 11, 2
#: So many of the last day are rows still, in the other ledger.
OPEN_HOURS = 3
INCIDENTS = (
    Incident("cache_split", OPENAI, "proj_2", 2, 8, 16, "cached tokens were entered as uncached"),
    Incident("web_search", ANTHROPIC, "wrkspc_1", 1, 6, 9, "searches were not entered"),
)


@dataclass
class Ground:
    """What all cases share."""

    place: Place
    twins: Twins
    folder: Path
    span: Span
    sealed: Settings
    opened: Settings
    clean: dict[tuple[str, dt.date], dict] = field(default_factory=dict)
    """Figures of runs that nothing happened to, by what the twins state now."""

    @property
    def days(self) -> tuple[dt.date, ...]:
        return tuple(self.span.first + dt.timedelta(days=number) for number in range(self.span.days))

    @contextmanager
    def copied(self, ledger: Settings) -> Generator[tuple[Settings, Path]]:
        """Settings of a copy of *ledger*, and the folder of its own where they lie as a file."""
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        with _copy(ledger) as settings:
            written(settings, folder)
            yield settings, folder


@contextmanager
def laid(place: Place, twins: Twins, folder: Path) -> Generator[Ground]:
    """Both ledgers, as templates that nobody is connected to."""
    span, costs = _span(), Costs(prices=SHIPPED / "prices.toml", terms=None, budgets=None)
    twins.admin("POST", "/begin-anew")
    url = twins.admin_url.removesuffix("/admin")
    with ExitStack() as stack:
        administration = stack.enter_context(TwinsAdministration(url, twins.secret("token")))

        def lay(settings: Settings, last_hour: dt.datetime) -> None:
            lay_month(settings, administration, span, ATTEMPTS, seed=SEED, incidents=INCIDENTS, last_hour=last_hour)

        opened = stack.enter_context(provider_ground(place, twins)).model_copy(update={"costs": costs})
        lay(opened, span.end - (1 + OPEN_HOURS) * HOUR)
        sealed = stack.enter_context(_copy(opened))
        lay(sealed, span.end)
        _open(opened, span)
        yield Ground(place, twins, folder, span, sealed, opened)


def _span() -> Span:
    """The last days of which a provider can be asked: what is not sealed has to be sealed up to now."""
    over = (dt.datetime.now(dt.UTC) - dt.timedelta(hours=2)).date()
    return Span(over - dt.timedelta(days=DAYS), DAYS)


def _open(settings: Settings, span: Span) -> None:
    """The last hours, as rows: the same that their files would have had."""
    sides = Sides(span, ATTEMPTS, SEED, INCIDENTS, TENANTS)
    try:
        with tempfile.TemporaryDirectory() as folder:
            hours = hours_between(span.end - OPEN_HOURS * HOUR, span.end - HOUR)
            rows = [row for _, body in sides.write_hours(hours, Path(folder)) for row in _rows(body, Path(folder))]
    finally:
        sides.close()
    names, marks = ", ".join(COLUMNS), ", ".join(["%s"] * len(COLUMNS))
    insert = f"INSERT INTO steward.ai_attempts ({names}) VALUES ({marks})"  # noqa: S608  the ledger's own names
    past(settings, *((insert, row) for row in rows))


def _rows(body: bytes, folder: Path) -> list[tuple]:
    file = folder / "rows.parquet"
    file.write_bytes(body)
    return duckdb.sql(f"SELECT {', '.join(COLUMNS)} FROM read_parquet('{file}')").fetchall()  # noqa: S608  as above


@contextmanager
def _copy(ledger: Settings) -> Generator[Settings]:
    server, _, template = ledger.postgres.url.rpartition("/")
    name = f"drill_{secrets.token_hex(6)}"
    words = {"name": sql.Identifier(name), "template": sql.Identifier(template)}
    with superuser(ledger) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {name} OWNER steward TEMPLATE {template}").format(**words))
    copy = changed(ledger, "postgres", url=f"{server}/{name}")
    try:
        # A log of its own: the bucket knows the other's under its id.
        for statement in _OTHER_LOG:
            query(copy, statement)
        yield copy
    finally:
        with superuser(ledger) as connection:
            connection.execute(sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**words))


def restate(ground: Ground, account: str, day: dt.date, output: int) -> None:
    """Let the twin state *output* tokens more of that day, from now on."""
    kind = {"openai": OPENAI, "anthropic": ANTHROPIC}[account]
    noon = int(dt.datetime.combine(day, dt.time(12), dt.UTC).timestamp())
    named = dict(_used(ground, kind))
    told = {"provider": account, "account": kind, **named, "at": noon, "requests": 1, "output": output}
    ground.twins.admin("POST", "/restatements", told)
    ground.clean.pop((account, day), None)


def _used(ground: Ground, account: str) -> dict[str, str]:
    """Names of something that the twins have stated already, so that it has a price and a key of the gateway's."""
    sides = Sides(ground.span, ATTEMPTS, SEED, INCIDENTS, TENANTS)
    try:
        with tempfile.TemporaryDirectory() as folder:
            sides.write_usage(Path(folder))
            rows = duckdb.sql(_USED.format(file=Path(folder) / "usage.parquet", account=account)).fetchall()
    finally:
        sides.close()
    return json.loads(rows[0][0])


_USED = """
SELECT to_json({{project: project, key_id: key_id, endpoint: endpoint, model: model_served, tier: tier_served}})
  FROM read_parquet('{file}') WHERE account = '{account}' AND output > 0 AND NOT long_context ORDER BY ALL LIMIT 1
"""
