"""What is away: Prefect, the database, the migrations. The watch says so, takes nobody for dead, and goes on."""

import time

import pytest

from replica import faults, inventory
from steward.migrations.apply import migrate
from steward.operations import claims
from steward.operations.claims import Identity, Run, claim
from steward.operations.ledger import Ledger
from steward.settings import load
from steward.verdicts import Verdict
from tests.integration.fresh_database import fresh_database
from tests.watching.ground import LEASE_SECONDS, hurried, the_operation, until, watching, written

pytestmark = pytest.mark.without_search

NOBODY = "http://127.0.0.1:9/api"
EXPECTED = """
[[operation]]
name = "night"
subject = "a"
resource = "cluster"
deployment = "night/night"
cron = "0 0 1 1 *"
period = "%Y"
verified_within_hours = 26
event = "steward.test"
"""


@pytest.fixture
def database(replica):
    with fresh_database(hurried(load(inventory.settings_file(replica)))) as fresh:
        yield fresh


def test_with_prefect_away_and_a_database_that_is_not_migrated_it_says_what_is_missing_and_then_what_is_overdue(
    replica, database, tmp_path
):
    (tmp_path / "expectations.toml").write_text(EXPECTED)
    environment = {"PREFECT_API_URL": NOBODY}
    with watching(replica, written(database, tmp_path), tmp_path, **environment) as [watch]:
        until(lambda: watch.says("python -m steward migrate"), 40, "hint to migrate")
        migrate(database)
        until(lambda: watch.says("database answers"), 20, "database")
        long_ago(Ledger(database))
        assert "night a was never VERIFIED" in until(
            lambda: watch.says(" OVERDUE "), 20, "line of the dead man's switch"
        )
        metrics = watch.get("/metrics").text
        assert 'steward_operation_overdue{name="night",subject="a"} 1.0' in metrics
        assert "steward_watch_prefect_up 0.0" in metrics
        # Neither is in the way of asking providers, whatever these answer.
        until(lambda: "steward_ai_provider_state{" in watch.get("/metrics").text, 20, "probe of a provider")
        assert "prefect: Prefect does not answer" in watch.get("/healthz").text
        verified(Ledger(database))
        until(lambda: watch.says(" recovered "), 20, "line that it is well again")
        assert len([line for line in watch.log.read_text().splitlines() if "OVERDUE" in line]) == 1
        assert watch.stop() == 0


def long_ago(book):
    book.query("UPDATE steward.operation_expectations SET since = now() - interval '27 h'")


def verified(book):
    claims.conclude(book, claim(book, Identity("night", "a", "now"), Run()), Verdict.VERIFIED, None, None)


def test_a_database_that_hung_costs_no_living_holder_its_operation_and_a_dead_one_is_still_found(
    replica, database, tmp_path
):
    migrate(database)
    book = Ledger(database)
    with watching(replica, written(database, tmp_path), tmp_path) as [watch]:
        until(lambda: "steward_watch_settled 1.0" in watch.get("/metrics").text, 40, "settled watch")
        held = claim(book, Identity("night", "a", "1"), Run())
        with faults.frozen(replica.state, "postgres"):
            time.sleep(4 * LEASE_SECONDS)
        # As a heartbeat whose turn comes late: a reaper that polls each second would have been before it.
        time.sleep(1.2)
        assert renew(book, held), "reaped before it could renew"
        until(lambda: watch.log.read_text().count(" settling ") > 1, 20, "line that it settles anew")
        assert renew(book, held)
        until(lambda: the_operation(book, state="failed"), 40, "end of the operation that nobody renews")
        with faults.frozen(replica.state, "postgres"):
            time.sleep(1.5)
            began = time.monotonic()
            assert watch.stop() == 0
            assert time.monotonic() - began < 3, "SIGTERM waited for the database"


def renew(book, held):
    sql = "UPDATE steward.operations SET lease_until = clock_timestamp() + lease WHERE token = %(token)s RETURNING 1"
    return book.query(sql, token=held.token)
