"""Stakeholders are told while the rollout goes on: nobody waits for a receiver but whoever states what was not told."""

from __future__ import annotations

from collections.abc import Iterable

from prefect.futures import PrefectFuture

from steward.errors import StewardError
from steward.notices.notice import Happened, Notice, Told
from steward.operations.errors import Refused
from steward.rollout.record import Rollout
from steward.rollout.report import Cause
from steward.rollout.request import RolloutRequest
from tasks.notices import announce, tell


def tell_refused(request: RolloutRequest, refused: Exception) -> None:
    """Tell whoever hears of rollouts that this one did not begin, and GitHub's deployment that it failed.

    Only of what came from a deployment there: whoever started a run by hand sees what became of it. In the body of a durable
    flow; not by one that has lost its operation, whose successor tells what it comes to itself.
    """
    if request.deployment is None or isinstance(refused, Refused):
        return
    # What is no finding of ours may quote anything.
    why = refused.message if isinstance(refused, StewardError) else type(refused).__name__
    tell(
        Notice(
            rollout=0,
            environment=request.environment,
            release=request.release,
            flag=request.flag,
            happened=Happened.REFUSED,
            reasons=(why,),
            deployment_id=request.deployment,
        )
    )


class Announcements:
    """Of one rollout."""

    def __init__(self, rollout: Rollout, deployment: int | None = None) -> None:
        self._rollout, self._deployment = rollout, deployment
        self._pending: list[PrefectFuture[Told]] = []

    def __call__(
        self, happened: Happened, step: int = 0, exposure: int | None = None, reasons: Iterable[str] = ()
    ) -> None:
        """Tell that *happened*; what an earlier attempt told is not told again."""
        rollout = self._rollout
        notice = Notice(
            rollout=rollout.id,
            environment=rollout.environment,
            release=rollout.release,
            flag=rollout.flag,
            happened=happened,
            step=step or rollout.step,
            exposure=rollout.exposure if exposure is None else exposure,
            reasons=tuple(reasons),
            deployment_id=self._deployment,
        )
        self._pending.extend(announce(notice))

    def end(self, cause: Cause | None, why: str) -> None:
        """How it ended."""
        if cause is None:
            self(Happened.CERTIFIED, len(self._rollout.plan.steps), 100)
        else:
            self(Happened.WITHDRAWN if cause is Cause.LEASE else Happened.ROLLED_BACK, exposure=0, reasons=[why])

    def finish(self) -> tuple[str, ...]:
        """Wait for what is under way; who was not told, and why."""
        told = [each.result() for each in self._pending]
        self._pending.clear()
        return tuple(f"{each.target}: {each.error}" for each in told if not each.ok)
