"""From the first exposure to nobody exposed: releases that err five times as often, rolled out to live users by the real flow.

Every time the whole of it: the flow in a process of its own, as a worker starts it, users through HAProxy, their outcomes counted in
PostgreSQL and read from Prometheus, the judge, the flag's change pushed to the shop. Each has users of its own, by its seed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ground import progress
from bench.rollout.bounds import quantile
from bench.rollout.shop import ENVIRONMENT, ERRING
from demo.shop import releases
from demo.shop.counts import Counts
from demo.shop.users import Load, coming
from steward.clients import rollouts
from steward.clients.postgres import connect
from steward.clients.rollouts_withdrawal import withdraw
from steward.errors import StewardError
from steward.rollout.gates import GatesNeeded
from steward.rollout.plan import Plan
from steward.rollout.record import Rollout
from steward.rollout.report import Cause, RolloutReport, StepOutcome
from steward.rollout.request import RolloutRequest
from steward.settings import Settings

#: The default plan, but for one guard: of the shop's users one in a hundred errs on any day, so that an availability of 99.9 %
#: does not hold on any. It would roll back sooner than the test that is measured here.
_AVAILABILITY = 0.9
#: The baseline is of users who were there before.
_BEFORE_SECONDS = 15.0
#: What is not rolled back by then, or by something else than the test of errors, counts as that long: whatever ended it, the test
#: had not. Three times what nine of ten replays take.
LONGEST_SECONDS = 300.0
_GONE_SECONDS = 2.0
FLOW = """
import sys
from pathlib import Path
from flows.production_rollout import production_rollout
from steward.rollout.report import RolloutNotVerified
from steward.rollout.request import RolloutRequest
try:
    report = production_rollout(RolloutRequest.model_validate_json(sys.argv[1]))
except RolloutNotVerified as ended:
    report = ended.report
Path(sys.argv[2]).write_text(report.model_dump_json())
"""


class NotRolledBack(StewardError):
    """The flow came to something else than was to be measured."""


@dataclass(frozen=True)
class Rollback:
    """One repetition."""

    seconds: float
    """From the commit that exposed 5 % to the later of: the commit that took them off, the last answer to an exposed user.

    LONGEST_SECONDS where the test of errors did not end it.
    """
    answers_after: int
    """With the new search, after the commit that took it off."""
    by_the_test: bool
    """Harm was shown by the metric of errors; otherwise a guard, a lease, or this bench's patience ended first."""
    users_per_second: float
    """Who were counted in the step."""
    why: str
    """As the run says it."""


def plan() -> Plan:
    """As said above."""
    lower = {"availability": {"bound": _AVAILABILITY}}
    return Plan(guards=tuple(each.model_copy(update=lower.get(each.name)) for each in Plan().guards))


def measure(settings: Settings, *, repetitions: int, within_seconds: float, rate: float, seed: int) -> dict[str, Any]:
    """At most so many, none of which begins later than that; one at least."""
    found = list[Rollback]()
    for each in _repeated(settings, repetitions, within_seconds, rate, seed):
        found.append(each)
        progress(
            f"  rollback {len(found)}: {each.seconds:.1f} s, {each.users_per_second:.0f} users/s, {each.answers_after} answers after it"
            + ("" if each.by_the_test else f"; NOT by the test of errors: {each.why}")
        )
    seconds = [each.seconds for each in found]
    return {
        "rollback_p90_seconds": round(quantile(seconds, 0.9), 1),
        "rollback_p50_seconds": round(quantile(seconds, 0.5), 1),
        "rollback_max_seconds": round(max(seconds), 1),
        "rollbacks": len(found),
        "rollbacks_otherwise": sum(not each.by_the_test for each in found),
        "rollback_users_per_second": round(quantile([each.users_per_second for each in found], 0.5), 1),
        "rollback_answers_after": max(each.answers_after for each in found),
    }


def _repeated(
    settings: Settings, repetitions: int, within_seconds: float, rate: float, seed: int
) -> Iterator[Rollback]:
    began = time.monotonic()
    for number in range(repetitions):
        if number and time.monotonic() - began > within_seconds:
            return
        with tempfile.TemporaryDirectory(prefix="steward-bench-rollout-") as folder:
            # The flow takes some seconds before it looks at them.
            yield _once(settings, Path(folder), rate, 1000 * seed + number, 0.0 if number else _BEFORE_SECONDS)


def _once(settings: Settings, folder: Path, rate: float, seed: int, before_seconds: float) -> Rollback:
    url = settings.balancer(ENVIRONMENT).url
    load = Load(url=url, rate=rate, seconds=3600, think_seconds=0.5, users=1_000_000, seed=seed)
    with coming(load) as counts:
        time.sleep(before_seconds)
        report, rollout = _rolled_out(settings, folder)
        time.sleep(_GONE_SECONDS)
        return _told(counts, report, rollout)


def _rolled_out(settings: Settings, folder: Path) -> tuple[RolloutReport, Rollout]:
    """The flow's report, and the row. One that takes too long is taken back from here."""
    request = RolloutRequest(
        release=ERRING, flag=releases.read(ERRING).flag, plan=plan(), gates=GatesNeeded(gates=()), because="bench"
    )
    told, log = folder / "report.json", folder / "flow.log"
    command = [sys.executable, "-c", FLOW, request.model_dump_json(), str(told)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env={**os.environ, "PREFECT_HOME": str(folder / "prefect")}, stdout=output, stderr=output
        )
        try:
            process.wait(LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            _take_back(settings)
            process.wait(LONGEST_SECONDS)
        finally:
            process.kill()
    if process.returncode:
        last = log.read_text(errors="replace").splitlines()[-15:]
        raise NotRolledBack("\n".join([f"the flow ended with status {process.returncode}:", *last]))
    report = RolloutReport.model_validate_json(told.read_bytes())
    with connect(settings) as db:
        return report, rollouts.read(db, report.rollout)


def _take_back(settings: Settings) -> None:
    with connect(settings) as db:
        rollout = rollouts.under_way(db, ENVIRONMENT)
    if rollout is not None:
        withdraw(settings, rollout.id, "bench", f"not rolled back within {LONGEST_SECONDS:g} s")


def _told(counts: Counts, report: RolloutReport, rollout: Rollout) -> Rollback:
    if report.certified or rollout.exposed_at is None or rollout.withdrawn_at is None or not report.ending.steps:
        raise NotRolledBack(f"{rollout} ended {report.verdict}: {'; '.join(report.findings)[:1000]}")
    since, taken_off = rollout.exposed_at.timestamp(), rollout.withdrawn_at.timestamp()
    last, step = max(taken_off, counts.last_seen("on") or 0.0), report.ending.steps[-1]
    by_the_test = report.ending.cause is Cause.HARM and _shown(step)
    return Rollback(
        seconds=last - since if by_the_test else LONGEST_SECONDS,
        answers_after=counts.answers_since("on", taken_off),
        by_the_test=by_the_test,
        users_per_second=_users(step) / (step.ended_at - step.begun_at).total_seconds(),
        why=next(iter(report.findings), "")[:300],
    )


def _shown(step: StepOutcome) -> bool:
    return any(each["metric"] == "error" and each["ln_e_bad"] >= each["ln_bad_needed"] for each in _weighed(step))


def _users(step: StepOutcome) -> int:
    return next((each["on_users"] + each["off_users"] for each in _weighed(step)), 0)


def _weighed(step: StepOutcome) -> list[dict[str, Any]]:
    weighed: Any = step.judgement.get("weighed")
    return list(weighed or ())
