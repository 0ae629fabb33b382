"""Restore tenants from the copy off site, with the cluster, its repository and Steward's record of nights gone.

Failure semantics: whatever can be seen to be wrong before (no such copy, an index of the name, no room, the role not
lent) ends the run Failed before anything is touched, and so does a person's no. What was restored and is not what its
night found is REFUTED, and stays closed to writers; what could not be compared is UNKNOWN. A server that is away ends the
run Failed with nothing undone: reopen the operation, and it goes on at that step. Nothing is ever restored over an index
or an alias that is there. Killed anywhere, a new run goes on: with the fetching, with the restore, with the comparison.
"""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.logging import get_run_logger

from steward.errors import StewardError, is_transient
from steward.operations.claims import Terms
from steward.snapshots.recovery_plan import RecoveryPlan, question
from steward.snapshots.recovery_report import (
    RecoveryDeclined,
    RecoveryFacts,
    RecoveryNotVerified,
    RecoveryReport,
    compared_indices,
    may_open,
)
from steward.snapshots.recovery_request import RecoveryRequest
from steward.verdicts import Verdict
from tasks.approvals import approve
from tasks.durable import durable, recorded
from tasks.recovery_planning import plan_recovery, show_plan
from tasks.restoring_offsite import (
    begin_recovery,
    clear_recovery,
    compare_recovered,
    conclude_recovery,
    fetch_blobs,
    open_recovered,
    record_recovery_evidence,
    restore_indices,
    show_recovery,
)


# Terabytes take days. No second recovery waits in a queue behind the first: a person decides anew, seeing what there is.
@flow(name="restore-from-offsite", flow_run_name="restore {request.cluster}", persist_result=False)
@durable(
    subject="{request.cluster}",
    resource="elasticsearch/{request.target}/recovery",
    terms=Terms(deadline_seconds=72 * 3600, queues=False),
)
def restore_from_offsite(request: RecoveryRequest) -> RecoveryReport:
    """Choose, plan, ask, fetch, restore, compare, open."""
    report = recorded(conclude_recovery) or _recover(request)
    record_recovery_evidence(report)
    show_recovery(report)
    # Only now, when no attempt can need it any more.
    clear_recovery()
    if report.verdict is not Verdict.VERIFIED:
        raise RecoveryNotVerified(report)
    return report


def _recover(request: RecoveryRequest) -> RecoveryReport:
    plan = plan_recovery(request)
    show_plan(plan, request.because)
    answer = approve(question(plan, request), key="restore")
    if not answer.approved:
        raise RecoveryDeclined(
            f"{answer.by} said no to restoring {plan.snapshot} into {plan.into}: {answer.remark or 'no remark'}",
            hint="nothing was fetched or restored; ask again by a new run",
            verdict=Verdict.UNKNOWN,
        )
    done: dict[str, Any] = {}
    try:
        done["begun"] = begin_recovery(plan, answer.by, answer.remark)
        _restore(plan, done)
    except Exception as error:
        if is_transient(error):
            raise
        get_run_logger().exception("the recovery was not finished")
        done["error"] = str(error) if isinstance(error, StewardError) else f"{type(error).__name__}: see the run's log"
    return conclude_recovery(plan, request.because, RecoveryFacts(**done))


def _restore(plan: RecoveryPlan, done: dict[str, Any]) -> None:
    done["fetched"] = fetched = fetch_blobs(plan)
    done["restored"] = restored = restore_indices(plan, fetched)
    whole = compared_indices(plan, RecoveryFacts(**done))
    done["compared"] = compare_recovered(plan, whole)
    # What is refuted stays closed: nobody works on with what the night did not hold.
    opened = {name: restored.uuids[name] for name in may_open(plan, RecoveryFacts(**done))}
    done["opened"] = open_recovered(plan, opened)
