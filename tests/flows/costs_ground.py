"""Ground for flows over costs: a few days that lie on both sides, and settings that name the twins' two accounts."""

from __future__ import annotations

import datetime as dt
from collections.abc import Generator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

import pytest

from demo.costs.incidents import ANTHROPIC, OPENAI, Incident
from demo.costs.laying import lay_month
from demo.costs.sides import Span
from demo.costs.twins import TwinsAdministration
from replica.server import Place
from steward.settings import Costs, Settings
from tests.flows.provider_ground import provider_ground
from tests.testbed.providers.ground import Twins, running_twins

SHIPPED = Path(str(files("deployments"))) / "costs"
FIRST = dt.date(2026, 10, 5)
DAYS = tuple(FIRST + dt.timedelta(days=n) for n in range(3))
#: As the settings name them.
ACCOUNTS = ("anthropic", "openai")
ATTEMPTS, SEED = 1500, 11
#: Small beside the bill, and each of another kind.
INCIDENTS = (
    Incident("cache_split", OPENAI, "proj_2", 2, 8, 16, "cached tokens were entered as uncached"),
    Incident("web_search", ANTHROPIC, "wrkspc_1", 1, 6, 9, "searches were not entered"),
)


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    """Of the module's own: what they bill, they would go on billing others."""
    with running_twins(tmp_path_factory.mktemp("twins")) as running:
        yield running


@pytest.fixture(scope="module")
def laid(replica, twins):
    with costs_ground(replica, twins) as settings:
        yield settings


@contextmanager
def costs_ground(replica: Place, twins: Twins) -> Generator[Settings]:
    """A ledger of its own that has three days sealed, which the twins bill."""
    with provider_ground(replica, twins) as settings:
        costs = Costs(prices=SHIPPED / "prices.toml", terms=None, budgets=None)
        laid = settings.model_copy(update={"costs": costs})
        twins.admin("POST", "/begin-anew")
        with TwinsAdministration(twins.admin_url.removesuffix("/admin"), twins.secret("token")) as administration:
            span = Span(FIRST, len(DAYS))
            lay_month(laid, administration, span, ATTEMPTS, seed=SEED, incidents=INCIDENTS, last_hour=span.end)
        yield laid
