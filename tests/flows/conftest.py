import pytest

from replica import start, stop
from replica.servers import SERVERS
from replica.supervision import Keeper
from tests.flows.durable_ground import book, effects, ledger_settings
from tests.nights import fresh, ground
from tests.rotation_runs import all_customers, customers, flow_customers, new_customers, rotation_template

__all__ = [
    "all_customers",
    "book",
    "customers",
    "effects",
    "flow_customers",
    "fresh",
    "ground",
    "ledger_settings",
    "new_customers",
    "rotation_template",
]


@pytest.fixture(scope="package", autouse=True)
def nobody_else_takes_up_what_is_killed(replica):
    """The replica's watch would give up what has no deployment, just before the next run that a test starts goes on with it."""
    watching = Keeper(replica.state).process("watch").state.is_up
    stop.down(replica.state, SERVERS, ["watch"])
    yield
    if watching:
        start.up(replica.state, SERVERS, ["watch"])
