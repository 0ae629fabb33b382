"""Let a release out step by step, each passed only on proof, and take it back on harm or when proof does not come.

Failure semantics: bad input (an unknown release, a flag that is not there, another rollout under way, gates without
evidence, SDKs that disagree) ends the run Failed before anything is touched; a deployment at GitHub is told so. From then
on every end but a certified one takes the users off the release first, then the traffic, and says why: harm that was shown
is REFUTED; a deadline, data that is missing or stale, a person's word or a run that could not go on is UNKNOWN. Users are
exposed under a lease that only a run renews which sees fresh data and no harm. Killed anywhere, a new run goes on at the
step in flight while that lease lives; over, users are back already, the guardian in the watch gives the traffic back, and
the new run states so. Prefect away keeps a run from nothing but being shown.
"""

from __future__ import annotations

from prefect import flow
from prefect.logging import get_run_logger

from steward.notices.notice import Happened
from steward.operations.claims import Terms
from steward.rollout.progress import SoFar
from steward.rollout.report import Ending, RolloutNotVerified, RolloutReport
from steward.rollout.request import RolloutRequest
from steward.verdicts import Verdict
from tasks.durable import durable, recorded
from tasks.lineage import run_asked_for
from tasks.rollout_ending import certify, keep_previous, take_back
from tasks.rollout_preparing import (
    begin_rollout,
    check_health,
    check_preconditions,
    place_release,
    switch_over,
    warm_up,
)
from tasks.rollout_proving import bake, expose, prove
from tasks.rollout_publishing import conclude_rollout, publish_rollout, record_rollout
from tasks.rollout_telling import Announcements, tell_refused


def _period(request: RolloutRequest) -> str:
    """Each run that was asked for is a rollout of its own: the same release may be tried again."""
    return f"{request.release}/{run_asked_for()}"


@flow(name="production-rollout", flow_run_name="roll out {request.release}", persist_result=False)
@durable(
    subject="{request.environment}",
    period=_period,
    resource="rollout/{request.environment}",
    terms=Terms(deadline_seconds=7 * 24 * 3600, queues=False),
)
def production_rollout(request: RolloutRequest) -> RolloutReport:
    """Put the release beside the live one, give it the traffic with its flag off, and expose users on proof.

    Args:
        request: Which release, behind which flag, by what steps.
    """
    # What was kept stands, whatever the steps before it would come to now.
    report = recorded(conclude_rollout) or conclude_rollout(request, roll_out(request))
    record_rollout(report)
    publish_rollout(report)
    if report.verdict is not Verdict.VERIFIED:
        raise RolloutNotVerified(report)
    return report


def roll_out(request: RolloutRequest) -> Ending:
    """How it ended, whatever ended it."""
    try:
        found = check_preconditions(request)
        rollout = begin_rollout(request, found)
    except Exception as refused:
        # Else a deployment at GitHub that was refused would wait there for ever.
        tell_refused(request, refused)
        raise
    so_far, announce = SoFar(rollout.id, found), Announcements(rollout, request.deployment)
    announce(Happened.BEGUN)
    try:
        place_release(rollout.id)
        warm_up(rollout.id)
        check_health(rollout.id)
        switch_over(rollout.id, found.slow_ms)
        for step, exposure in enumerate(request.plan.steps, start=1):
            expose(rollout.id, step)
            announce(Happened.EXPOSED, step, exposure)
            so_far.passed(prove(rollout.id, step))
        so_far.passed(bake(rollout.id))
        certify(rollout.id, so_far.on_whose_word)
    except Exception as error:  # noqa: BLE001  whatever stopped it, users are taken off, and the evidence says why
        so_far.stopped_by(error)
        get_run_logger().error("the rollout stopped: %s", so_far.why, exc_info=so_far.is_surprised)
        left = take_back(rollout.id, so_far)
    else:
        left = keep_previous(rollout.id)
    announce.end(so_far.cause, so_far.why)
    return so_far.ending(announce.finish(), left)
