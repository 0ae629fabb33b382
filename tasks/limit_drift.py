"""The steps of comparing limits: our catalog is read, each account's provider is asked, both are judged and told."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event

from steward.ai.catalog import load_catalog
from steward.ai.limit_drift import AccountLimits, Untold, ours_of
from steward.ai.limit_report import DriftBegun, DriftReport, compare_all, render_drift
from steward.clients.provider_limits import administered_limits, observed_limits
from steward.errors import BadInput
from steward.evidence.provenance import code_version, host_class
from steward.evidence.store import EvidenceRef, record
from steward.operations.steps import Kind
from steward.settings import Settings, load
from tasks.durable import operation, step
from tasks.limit_statement import limit_statement


@step("read our limits")
def begin_comparison(least_percent: int) -> DriftBegun:
    """The catalog of the gateway. BadInput where the settings name none, or it is unusable."""
    started, path = datetime.now(UTC), _catalog(load())
    ours = ours_of(load_catalog(path))
    # By the file's own digest: it is what an operator has in front of them.
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return DriftBegun(started_at=started, catalog=digest, ours=ours, least_percent=least_percent)


def _catalog(settings: Settings) -> Path:
    if settings.gateway is None:
        raise BadInput(
            "the settings name no gateway: there are no limits of ours to compare",
            hint="add [gateway] with its catalog; see docs/settings.md",
        )
    return settings.gateway.catalog


@step("ask administration", run_name="ask the administration of {account}", key="{account}")
def read_administered(account: str) -> AccountLimits:
    """What the provider has configured for the account."""
    return administered_limits(load(), account)


@step("read headers", run_name="read what headers told of {account}", key="{account}")
def read_observed(begun: DriftBegun, account: str, why: str) -> AccountLimits | Untold:
    """What its answers told lately, where its administration tells nothing."""
    return observed_limits(load(), account, [each for each in begun.ours if each.account == account], why)


@step("compare", kind=Kind.CLOSING)
def keep_comparison(begun: DriftBegun, told: tuple[AccountLimits | Untold, ...]) -> DriftReport:
    """The verdict. Kept, so that its evidence says the same whatever a later attempt would read."""
    verdict, compared = compare_all(begun, told)
    return DriftReport(
        period=operation().period,
        attempt=operation().attempt,
        verdict=verdict,
        begun=begun,
        told=told,
        compared=compared,
        ended_at=datetime.now(UTC),
        code=code_version().model_dump(),
        host=host_class(),
    )


@step("record evidence", run_name="record evidence of the limits", kind=Kind.CLOSING)
def record_comparison(report: DriftReport) -> EvidenceRef:
    """Sign the run's statement and keep it; the same report again changes nothing."""
    return record(load(), limit_statement(report))


@step("publish", kind=Kind.CLOSING)
def publish_comparison(report: DriftReport) -> None:
    """Twice is harmless: artifacts are versions under one key."""
    create_markdown_artifact(render_drift(report), key="ai-limits", description=f"AI limits: {report.verdict}")
    emit_event(
        event="steward.ai.limits.compared",
        resource={"prefect.resource.id": "steward.ai.limits"},
        payload={"period": report.period, "verdict": report.verdict, "findings": list(report.findings)},
    )
