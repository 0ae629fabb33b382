"""Prove some tenants of a night: restore them, and compare them with what the source held. On whichever worker.

Failure semantics: what is wrong, and what could not be checked, is this run's result, and the night's to judge; the run then
ends Failed with that verdict. Copies are dropped either way, on a full disk as after an error; where they cannot be, its
tenants are UNKNOWN. Killed anywhere, a new run goes on at the step in flight. A night that has ended is served no longer.
"""

from __future__ import annotations

from prefect import flow
from prefect.logging import get_run_logger

from flows.nightly_snapshot import prove_batch
from steward.errors import StewardError
from steward.operations.claims import Terms
from steward.snapshots.checked import Checked
from steward.snapshots.parts import TenantsNotProved, TenantsProved, TenantsRequest, failed_check
from steward.snapshots.policy import NIGHT_SECONDS
from steward.verdicts import Verdict
from tasks.durable import durable
from tasks.snapshots import clear_attempt
from tasks.tenant_runs import read_part


@flow(name="prove-tenant", flow_run_name="{request.subject}", persist_result=False)
@durable(subject="{request.subject}", terms=Terms(deadline_seconds=NIGHT_SECONDS))
def prove_tenant(request: TenantsRequest) -> TenantsProved:
    """Restore these tenants elsewhere, and prove that nothing is lost."""
    proved = _prove(request)
    if proved.verdict is not Verdict.VERIFIED:
        raise TenantsNotProved(proved)
    return proved


def _prove(request: TenantsRequest) -> TenantsProved:
    part = read_part(request)
    checks: list[Checked] = []
    try:
        # Each check is added as it ends: what it found stands, whatever becomes of the next.
        for checked in prove_batch(request.policy, part.attempt, part.taken, request.batch, part.batch):
            checks.append(checked)  # noqa: PERF402  as above
    except Exception as error:  # noqa: BLE001  whatever stopped it, the night hears why, and has its verdict on the others
        get_run_logger().exception("%s could not be proved", request.subject)
        checks.append(failed_check(request.tenants, error))
    try:
        clear_attempt(request.policy, part.attempt)
    except StewardError as error:
        checks.append(failed_check(request.tenants, error))
    return TenantsProved(snapshot=part.taken.name, tenants=request.tenants, checks=checks)
