"""Limits compared as a flow: on the ledger, with evidence, by what the twins' administrations have configured."""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import pytest

import flows.limit_drift
from flows.limit_drift import DriftRequest, limit_drift
from steward.ai.limit_report import LimitsDrifted
from steward.evidence.envelopes import open_envelope
from steward.evidence.statements import parse_statement
from steward.settings import Gateway, load
from steward.verdicts import Verdict
from tests.flows.killed_runs import Death, run_killed
from tests.flows.prefect_server import artifact, recording_in
from tests.flows.provider_ground import provider_ground, written
from tests.keyring_ground import query
from tests.testbed.providers.ground import running_twins

pytestmark = pytest.mark.without_search

SHIPPED = Path(str(files("deployments"))) / "gateway"


@pytest.fixture(scope="module")
def twins(tmp_path_factory):
    with running_twins(tmp_path_factory.mktemp("twins")) as running:
        yield running


@pytest.fixture(scope="module")
def laid(replica, twins):
    described = Gateway(catalog=SHIPPED / "catalog.toml", callers=SHIPPED / "callers.toml")
    with provider_ground(replica, twins) as settings:
        yield settings.model_copy(update={"gateway": described})


@pytest.fixture
def file(laid, twins, in_replica, tmp_path, monkeypatch):
    twins.admin("POST", "/begin-anew")
    configured(twins)
    path = written(laid, tmp_path)
    monkeypatch.setenv("STEWARD_SETTINGS", str(path))
    with recording_in(in_replica):
        yield path


def configured(twins, **openai):
    """As the shipped catalog's, or more, but for OpenAI's."""
    limits = [
        {"account": "openai-main", "model": "*", "requests": 5_000, "tokens": 5_000_000},
        {"account": "openai-main", "model": "gpt-6-luna", "requests": 10_000, "tokens": 2_000_000, **openai},
        {"account": "anthropic-main", "model": "*", "requests": 4_000, "input_tokens": 10**6, "output_tokens": 400_000},
    ]
    twins.admin("PUT", "/limits", {"mode": "off", "limits": limits})


def refused(label, **request):
    with pytest.raises(LimitsDrifted) as found:
        limit_drift(DriftRequest(label=label, **request))
    return found.value.report


def statements():
    rows = query(load(), "SELECT envelope FROM steward.evidence ORDER BY id")
    return [parse_statement(open_envelope(envelope.encode()).payload) for (envelope,) in rows]


def test_limits_that_fit_are_verified_with_evidence_and_those_that_drifted_are_refuted(file, twins):
    report = limit_drift(DriftRequest(label="fits"))
    assert report.verdict is Verdict.VERIFIED
    assert "verdict: VERIFIED" in artifact("ai-limits")
    [told] = statements()
    assert (told.operation, told.subject, told.verdict) == ("limit-drift", "providers", Verdict.VERIFIED)
    assert told.figures["told_by"] == {"anthropic": "administration", "openai": "administration"}
    assert len(told.figures["limits"]) == 3 + 2 + 2
    digest = hashlib.sha256((SHIPPED / "catalog.toml").read_bytes()).hexdigest()
    assert told.inputs == (("catalog", {"sha256": digest}),)

    configured(twins, requests=4_999)
    report = refused("above")
    assert report.verdict is Verdict.REFUTED
    [finding] = report.findings
    assert finding.startswith(
        "openai:gpt-6-luna: requests a minute are 5,000 in our catalog, and 4,999 at the provider"
    )
    assert statements()[-1].verdict is Verdict.REFUTED


def test_a_provider_that_tells_nothing_leaves_the_other_compared(file, twins, monkeypatch):
    monkeypatch.setattr(
        flows.limit_drift, "read_administered", flows.limit_drift.read_administered.with_options(retries=0)
    )
    twins.lay("dark", provider="anthropic")
    report = refused("dark")
    assert report.verdict is Verdict.UNKNOWN
    assert {each.account: each.verdict for each in report.compared} == {
        "openai": Verdict.VERIFIED,
        "anthropic": Verdict.UNKNOWN,
    }
    assert "does not answer" in report.findings[0]


def test_killed_between_a_step_and_its_record_it_goes_on_and_tells_it_once(file, replica):
    before = len(statements())
    flow = "flows.limit_drift.limit_drift"
    run_killed(replica, file, flow, {"label": "killed"}, Death("after", "record_comparison"))
    report = limit_drift(DriftRequest(label="killed"))
    assert (report.verdict, report.attempt) == (Verdict.VERIFIED, 1)
    assert [each.period.partition("/")[2] for each in statements()[before:]] == ["killed"]
