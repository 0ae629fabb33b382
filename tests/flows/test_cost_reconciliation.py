"""Costs reconciled as a flow: its days on two workers, one of which dies; its statement, evidence, artifacts and FOCUS files."""

from __future__ import annotations

import signal
import threading
from decimal import Decimal
from typing import NamedTuple

import duckdb
import pytest

from flows.cost_reconciliation import DAYS as CHILD
from flows.cost_reconciliation import cost_reconciliation
from flows.reconcile_days import reconcile_days
from replica import inventory
from steward.clients.cost_book import every_day, latest_days, readings_of
from steward.clients.cost_pages import load_result
from steward.clients.postgres import connect
from steward.clients.s3 import open_evidence_bucket
from steward.costs.money import total
from steward.costs.planning import ReconciliationRequest
from steward.costs.report import CostReport, CostsNotVerified
from steward.evidence.envelopes import open_envelope
from steward.evidence.statements import parse_statement
from steward.settings import load
from steward.verdicts import Verdict
from tests.flows.costs_ground import ACCOUNTS, DAYS, laid, twins
from tests.flows.durable_ground import unique, wait_for
from tests.flows.prefect_server import artifact, recording_in
from tests.flows.provider_ground import written
from tests.flows.workers_ground import end, pool_with, runs_of, working
from tests.integration.costs_ground import meddling
from tests.keyring_ground import query
from tests.watching.ground import watching

pytestmark = pytest.mark.without_search

__all__ = ["laid", "twins"]

SHARED = DAYS[:2]


@pytest.fixture(scope="module")
def settings_file(laid, tmp_path_factory):
    return written(laid, tmp_path_factory.mktemp("settings"))


@pytest.fixture(autouse=True)
def at_home(replica, in_replica, settings_file, monkeypatch):
    monkeypatch.setenv("STEWARD_SETTINGS", str(settings_file))
    with recording_in(replica):
        yield


@pytest.fixture(scope="module")
def pool(replica, settings_file):
    """A pool whose workers this module starts, with the deployment that explains days."""
    with recording_in(replica), pool_with(reconcile_days, CHILD, unique("costs"), settings_file) as name:
        yield name


@pytest.fixture(scope="module")
def first(replica, pool, tmp_path_factory):
    with working(replica, pool, tmp_path_factory.mktemp("first"), "first") as worker:
        yield worker


def has_begun_one(settings, worker):
    """Whether a run of *worker*'s holds its operation: what dies before, though Prefect has it as RUNNING, nobody misses."""
    owners = query(settings, "SELECT owner FROM steward.operations WHERE owner IS NOT NULL")
    return any(int(owner.split(":")[1]) in runs_of(worker) for (owner,) in owners)


def reconciled(**request):
    """The report, whatever its verdict."""
    try:
        return cost_reconciliation(ReconciliationRequest(**request))
    except CostsNotVerified as found:
        return found.report


class Shared(NamedTuple):
    """A reconciliation whose days two workers took, one of which died."""

    report: CostReport
    took: set[int]
    """Process ids of workers that had a run."""
    died: int | None
    """The exit code of the second."""


@pytest.fixture(scope="module")
def shared(replica, pool, first, settings_file, tmp_path_factory):
    folder, took = tmp_path_factory.mktemp("shared"), set[int]()

    def kill_the_second(second):
        """Once each of them has run something, and while the second is at work."""

        def at_work():
            took.update(worker.pid for worker in (first, second) if runs_of(worker))
            return len(took) == 2 and has_begun_one(load(settings_file), second)

        wait_for(at_work, "runs on both workers")
        end(second.pid)

    with (
        pytest.MonkeyPatch.context() as patched,
        recording_in(replica),
        working(replica, pool, folder, "second") as second,
        watching(replica, settings_file, folder),
    ):
        for name, value in (inventory.environment(replica) | {"STEWARD_SETTINGS": str(settings_file)}).items():
            patched.setenv(name, value)
        killer = threading.Thread(target=kill_the_second, args=(second,))
        killer.start()
        report = reconciled(first=SHARED[0], last=SHARED[-1], reading="shared", days_a_run=1)
        killer.join()
    return Shared(report, took, second.returncode)


def test_days_run_on_two_workers_and_none_is_lost_or_counted_twice_when_one_dies(shared):
    assert len(shared.took) == 2
    assert shared.died == -signal.SIGKILL
    assert shared.report.days.not_had == ()
    assert shared.report.verdict is not Verdict.UNKNOWN
    for account in ACCOUNTS:
        with connect(load()) as db:
            counted = [(each.day, each.reading) for each in every_day(db, account, SHARED[0], SHARED[-1])]
            readings = [each.reading for day in SHARED for each in readings_of(db, account, day)]
        assert counted == [(day, "shared") for day in SHARED]
        assert readings == ["shared"] * len(SHARED)


def test_a_statement_adds_up_the_days_and_every_cent_of_it_has_a_cause(shared):
    (stated,) = shared.report.stated
    with connect(load()) as db:
        days = latest_days(db, SHARED[0], SHARED[-1])
    assert len(stated.days) == len(days) == len(ACCOUNTS) * len(SHARED)
    for name in ("ledger", "billed", "unexplained"):
        assert total(Decimal(each.figures[name]) for each in days) == Decimal(getattr(stated, name))
    explained = total(map(Decimal, (stated.ledger, *stated.causes.values(), stated.unexplained)))
    assert explained == Decimal(stated.billed) > 0
    assert abs(Decimal(stated.unexplained)) <= Decimal(stated.bound)


def test_a_statement_is_evidence_artifact_and_focus_files_of_the_same_sums(shared, tmp_path):
    (stated,) = shared.report.stated
    told = evidence()[0]
    assert (told.operation, told.verdict) == ("cost-reconciliation", shared.report.verdict)
    named = {each.name: each.digest["sha256"] for each in told.artifacts}
    assert named == {each.object_key: each.sha256 for each in (stated.statement, *stated.focus)}
    assert {each.digest["sha256"] for each in told.inputs} == set(stated.days.values())
    assert told.figures["periods"][str(stated.period)]["billed"] == stated.billed
    page = artifact("ai-costs")
    assert f"verdict: {shared.report.verdict}" in page
    assert page.count("data:image/svg+xml") == 2
    file = tmp_path / "focus.parquet"
    with open_evidence_bucket(load()) as objects:
        file.write_bytes(load_result(objects, next(each for each in stated.focus if "parquet" in each.object_key)))
    assert duckdb.execute("SELECT sum(BilledCost) FROM read_parquet(?)", [str(file)]).fetchall() == [
        (Decimal(stated.billed),)
    ]


def evidence():
    rows = query(load(), "SELECT envelope FROM steward.evidence ORDER BY id")
    return [parse_statement(open_envelope(envelope.encode()).payload) for (envelope,) in rows]


def test_a_provider_that_tells_no_bill_leaves_a_statement_without_a_figure(first, laid, settings_file):
    with meddling(laid.providers["openai"].url) as meddler:
        meddler.meddle = lambda path, answer: (403, {}, b'{"error": {"message": "no"}}') if "/costs" in path else answer
        changed = laid.providers["openai"].model_copy(update={"url": meddler.url})
        told = laid.model_copy(update={"providers": {**laid.providers, "openai": changed}})
        before = settings_file.read_text()
        written(told, settings_file.parent)
        try:
            report = reconciled(first=DAYS[2], last=DAYS[2], reading="refused")
        finally:
            settings_file.write_text(before)
    assert report.verdict is Verdict.UNKNOWN
    (lacking,) = report.days.not_had
    assert (lacking.account, lacking.day) == ("openai", DAYS[2])
    (stated,) = report.stated
    assert (stated.verdict, stated.billed, stated.ledger, stated.focus) == (Verdict.UNKNOWN, None, None, ())
    page = artifact("ai-costs")
    assert "verdict: UNKNOWN" in page
    assert "$0" not in page
    assert "openai" in page
