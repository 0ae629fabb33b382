"""Rotate tenants' keys while applications read and write, and prove that every row decrypts under the new ones.

Failure semantics: bad input (an unknown tenant, a reason without a `because`, a database that is not as its file says,
a vault that refuses) ends the run Failed before anything is touched. Killed anywhere, a new run goes on behind what is
recorded: versions and generations that were made are found, parts of tables that were swept are not swept again. No key
is disabled while anything is under it, none is destroyed within its grace, and rows are counted before either. A value
that does not decrypt is named and left, the others go on, and its tenant's old key stays: REFUTED. Vault, keyring or a
database away for longer than the retries, a process that does not take up new keys, or golden rows that could not be
written all the while: UNKNOWN; nothing is lost, both keys are read meanwhile, and the next run goes on from there.
"""

from __future__ import annotations

from datetime import UTC

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from steward.keys.progress import Rotation
from steward.keys.report import Proof, Retirement, RotationNotVerified, RotationReport
from steward.keys.request import Plan, Reason, RotationRequest
from steward.operations.claims import Terms
from steward.verdicts import Verdict
from tasks.durable import durable, operation, recorded
from tasks.golden_rows import golden_writes, plant_golden_rows
from tasks.key_rotation import (
    add_generations,
    await_readers,
    check_preconditions,
    decide_retirement,
    destroy_keys,
    disable_kek_versions,
    disable_keys,
    new_kek_version,
    rewrap_keys,
    switch_writers,
)
from tasks.key_statements import keep_report, publish_rotation, record_rotation
from tasks.key_sweeps import await_last_transactions, await_transactions, prove_rotation, reencrypt
from tasks.keys_at_hand import keys_at_hand
from tasks.lineage import run_asked_for

MONTHLY = RotationRequest()
INCOMING, CURRENT = "incoming", "current"


def _period(request: RotationRequest) -> str:
    """The month for which it was scheduled: one rotation a month. Asked for otherwise, each run is one of its own."""
    if request.reason is Reason.SCHEDULED and request.of_all:
        return f"{flow_run.get_scheduled_start_time().astimezone(UTC):%Y-%m}"
    return run_asked_for()


@flow(name="monthly-key-rotation", flow_run_name="rotate keys: {request.reason}", persist_result=False)
@durable(subject="{request.subject}", period=_period, resource="keyring", terms=Terms(deadline_seconds=7 * 24 * 3600))
def monthly_key_rotation(request: RotationRequest = MONTHLY) -> RotationReport:
    """New keys for tenants: wrapped, taken up, written under, swept to, proved; then the old ones are disabled.

    Args:
        request: Whose keys, why, and how carefully.
    """
    with keys_at_hand():
        plan = check_preconditions(request)
        # What was kept stands, whatever the steps before it would come to now.
        report = recorded(keep_report) or keep_report(rotate(request, plan))
        record_rotation(request, report)
    publish_rotation(report)
    if report.verdict is not Verdict.VERIFIED:
        raise RotationNotVerified(report)
    return report


def rotate(request: RotationRequest, plan: Plan) -> RotationReport:
    """What the rotation came to, whatever stopped it."""
    so_far = Rotation(request, plan, operation().period)
    try:
        with so_far.stage("new keys"):
            plant_golden_rows(plan)
            so_far.kek = new_kek_version(plan)
            so_far.rewrapped = rewrap_keys(request, plan, so_far.kek)
            so_far.generations = add_generations(plan, so_far.kek)
        with golden_writes(plan):
            with so_far.stage("readers and writers take them up"):
                await_readers(INCOMING, request.readers_seconds)
                switch_writers(so_far.generations)
                await_readers(CURRENT, request.readers_seconds)
            with so_far.stage("rows re-encrypted"):
                for application in plan.applications:
                    await_transactions(application, request.readers_seconds)
                    so_far.sweeps.append(reencrypt(application, request, plan))
        with so_far.stage("proof"):
            so_far.proof = prove_rotation(plan)
        with so_far.stage("old keys"):
            so_far.retirement = retire(request, plan, so_far.kek, so_far.proof)
    except Exception as error:  # noqa: BLE001  whatever stopped it, the rotation has a verdict, and the evidence says why
        get_run_logger().exception("the rotation stopped")
        so_far.error = error
    return so_far.report()


def retire(request: RotationRequest, plan: Plan, kek: str, proof: Proof) -> Retirement:
    """Disable what was proved to be unused, destroy what outlived its grace, and let go of old versions of the vault's key."""
    decided = decide_retirement(request, plan, proof)
    disable_keys(decided)
    for application in plan.applications if decided.destroyed else ():
        await_last_transactions(application, request.readers_seconds)
    return disable_kek_versions(request, plan, kek, destroy_keys(decided))
