"""Back to the previous version, now, and shown that it answers.

Failure semantics: where there is nothing certified to go back to, the run ends Failed and nothing was touched: an uncertified
or revoked release is never returned to. Else users are taken off the release first, then the traffic. Killed anywhere, another
run ends it and states so; the guardian in the watch ends it within seconds without any run, whether Prefect is there or not. The
run is REFUTED if anybody was answered by another version or the flag is on, UNKNOWN if that could not be seen.
"""

from __future__ import annotations

from prefect import flow

from steward.operations.claims import Terms
from steward.rollout.return_report import RollBackNotVerified, RollBackReport, RollBackRequest
from steward.verdicts import Verdict
from tasks.durable import durable, recorded
from tasks.roll_backs import (
    conclude_roll_back,
    go_back,
    publish_roll_back,
    record_roll_back,
    show_who_answers,
    tell_of_it,
)


# A resource of its own: the rollout that it takes back is at work, and holds the environment's.
@flow(name="roll-back-now", flow_run_name="roll back {request.environment}", persist_result=False)
@durable(
    subject="{request.environment}",
    resource="roll-back/{request.environment}",
    terms=Terms(deadline_seconds=3600),
)
def roll_back_now(request: RollBackRequest) -> RollBackReport:
    """Withdraw the rollout that is under way; after its end, go back to the last certified release.

    Args:
        request: Where, who wants it, and why.
    """
    # What was kept stands, whatever the steps before it would come to now.
    report = recorded(conclude_roll_back) or go_back_and_show(request)
    # First: whoever clicked at night wants to see who answers, also while nobody can store evidence.
    publish_roll_back(report)
    record_roll_back(report)
    if report.verdict is not Verdict.VERIFIED:
        raise RollBackNotVerified(report)
    return report


def go_back_and_show(request: RollBackRequest) -> RollBackReport:
    """Done first, shown then, told last."""
    returned = go_back(request)
    proof = show_who_answers(returned)
    return conclude_roll_back(request, returned, proof, tell_of_it(request, returned))
