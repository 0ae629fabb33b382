"""A rotation on its way: what its steps have come to so far, from which its report is made wherever it stops."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from steward.errors import StewardError
from steward.keys.report import Proof, Retirement, RotationReport, Stage, SweepReport, verdict_on
from steward.keys.request import Plan, RotationRequest
from steward.verdicts import Verdict


class Rotation:
    """Filled in by the flow."""

    def __init__(self, request: RotationRequest, plan: Plan, period: str) -> None:
        self._request, self._plan, self._period = request, plan, period
        self._started_at = datetime.now(UTC)
        self._stages: list[Stage] = []
        self.kek = ""
        self.rewrapped = 0
        self.generations: dict[str, int] = {}
        self.sweeps: list[SweepReport] = []
        self.proof: Proof | None = None
        self.retirement = Retirement()
        self.error: BaseException | None = None

    @contextmanager
    def stage(self, name: str) -> Generator[None]:
        """Time the block, to its end or to where it stopped."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._stages.append(Stage(name=name, seconds=time.monotonic() - began))

    def report(self) -> RotationReport:
        """As it stands."""
        report = RotationReport(
            reason=self._request.reason,
            because=self._request.because,
            subject=self._request.subject,
            period=self._period,
            attempt=1,
            verdict=Verdict.UNKNOWN,
            started_at=self._started_at,
            ended_at=datetime.now(UTC),
            tenants=len(self._plan.tenants),
            kek_before=_short(self._plan.kek_before),
            kek=_short(self.kek),
            rewrapped=self.rewrapped,
            generations=len(self.generations),
            sweeps=self.sweeps,
            proof=self.proof,
            retirement=self.retirement,
            stages=self._stages,
            error="" if self.error is None else _told(self.error),
        )
        return report.model_copy(update={"verdict": verdict_on(report)})


def _told(error: BaseException) -> str:
    return str(error) if isinstance(error, StewardError) else f"{type(error).__name__}: {error}"


def _short(kid: str) -> str:
    # The vault's host follows whoever asks.
    return "/".join(kid.rsplit("/", 2)[-2:])
