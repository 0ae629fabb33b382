"""A step of exposure is looked at until it is proved, harm is shown, or nobody can say: each look kept, each renewal earned."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from steward.clients import rollouts_exposure
from steward.clients.flags_served import FlagsServed, stored_revision
from steward.clients.postgres import connect
from steward.clients.prometheus import Prometheus, open_prometheus
from steward.clients.rollouts_reading import read_step
from steward.clients.rollouts_said import count_looks, keep_judgement, last_judgement, said, say
from steward.operations.following import keep_waiting
from steward.rollout.errors import LeaseExpired
from steward.rollout.judge import Decision, Judgement, judge
from steward.rollout.passing import Standing, stands
from steward.rollout.readings import Override
from steward.rollout.record import Rollout, Said
from steward.rollout.report import StepOutcome
from steward.rollout.state import State
from steward.rollout.telling import Telling
from steward.settings import load
from tasks.durable import step
from tasks.rollout_questions import Questions
from tasks.rollouts import acting, read_rollout


@step("expose", run_name="expose step {number}", key="{number}")
def expose(rollout_id: int, number: int) -> int:
    """Per cent of users that are exposed from now on. The step before must have been passed, as it is recorded."""
    with acting(rollout_id) as (db, rollout):
        # A try that died after its commit is there already.
        now = rollout if rollout.step >= number else rollouts_exposure.go_on(db, rollout)
    return now.exposure


@step("prove", run_name="prove step {number}", key="{number}")
def prove(rollout_id: int, number: int) -> StepOutcome:
    """Look until the step at which the rollout is, *number*, is decided."""
    return _Looking(rollout_id).to_the_end()


@step("bake")
def bake(rollout_id: int) -> StepOutcome:
    """Everybody is exposed for the plan's time, and still judged."""
    with acting(rollout_id) as (db, rollout):
        if rollout.state is not State.BAKING:
            rollouts_exposure.go_on(db, rollout)
    return _Looking(rollout_id).to_the_end()


class _Looking:
    """Looks at one step. What came before is in the database, so that another attempt goes on with the same test."""

    def __init__(self, rollout_id: int) -> None:
        self._settings = load()
        self._rollout = read_rollout(rollout_id)
        self._kept_at = self._renewed_at = 0.0
        self._served = FlagsServed(self._settings)
        self._telling = self._told_so_far()
        self._is_told = False

    def to_the_end(self) -> StepOutcome:
        """Raises `steward.rollout.errors` where the rollout was withdrawn meanwhile, and Unavailable without a database."""
        plan = self._rollout.plan
        with open_prometheus(self._settings) as prometheus, Questions(self._rollout) as questions, self._served:
            while True:
                began = time.monotonic()
                judgement, told = self._look(prometheus)
                standing = stands(judgement, plan, told, step=self._rollout.step)
                # Nobody is shown more before it is known that SDKs have what is shown now.
                if standing.ends and (self._is_told or not standing.passed):
                    return self._outcome(judgement, standing)
                for answer in questions.ask(standing.asks):
                    self._say(answer)
                keep_waiting()
                time.sleep(max(0.0, min(plan.look_seconds, plan.renew_seconds) - (time.monotonic() - began)))

    def _look(self, prometheus: Prometheus) -> tuple[Judgement, list[Said]]:
        with acting(self._rollout.id) as (db, now):
            before, told = last_judgement(db, now.id), said(db, now.id)
            # A transaction after that of the renewal: only when that was committed, the revision has it.
            self._telling.renewed(stored_revision(db), int(now.lease_until.timestamp()))
        if now.has_lapsed:
            raise LeaseExpired(_lapsed(now, before))
        self._hear(now)
        reading = read_step(self._settings, prometheus, now, _override(told, now))
        judgement = judge(reading, now.plan, time.time(), before)
        self._keep(judgement, before)
        return judgement, told

    def _told_so_far(self) -> Telling:
        """Of an attempt that begins: whether the last lease is served, nobody has said yet; the one before it was."""
        with connect(self._settings) as db:
            revision = stored_revision(db)
        until, plan = int(self._rollout.lease_until.timestamp()), self._rollout.plan
        return Telling(until - plan.renew_seconds - min(plan.look_seconds, plan.renew_seconds), revision, until)

    def _hear(self, now: Rollout) -> None:
        """Whether SDKs are told of the last lease. Raises LeaseExpired where for a whole one they were not."""
        self._is_told = self._telling.is_served(self._served.revision())
        if not self._is_told and self._telling.is_over(time.time()):
            raise LeaseExpired(
                f"no flag server told SDKs of the lease of {now} in time: its users are off already, and are not to come back",
                hint="is services/flags up, and does it reach the database? See its /healthz",
            )

    def _keep(self, judgement: Judgement, before: Judgement | None) -> None:
        """What was seen, and a whole lease for what is fresh and shows no harm."""
        plan, at = self._rollout.plan, time.monotonic()
        is_news = before is None or (before.decision, before.step, before.baking) != (
            judgement.decision,
            judgement.step,
            judgement.baking,
        )
        renews = judgement.may_renew and self._is_told and at - self._renewed_at >= plan.renew_seconds
        keeps = is_news or at - self._kept_at >= plan.look_seconds
        if not renews and not keeps:
            return
        with acting(self._rollout.id) as (db, now):
            keep_judgement(db, now, judgement)
            self._kept_at = at
            if renews:
                self._rollout = rollouts_exposure.renew(db, now)
                self._renewed_at = at

    def _say(self, answer: Said) -> None:
        with acting(self._rollout.id) as (db, now):
            say(db, now, answer.decision, who=answer.who, why=answer.why, via=answer.via)

    def _outcome(self, judgement: Judgement, standing: Standing) -> StepOutcome:
        with acting(self._rollout.id) as (db, now):
            looks = count_looks(db, now.id, now.step, baking=judgement.baking)
        return StepOutcome(
            step=judgement.step,
            exposure=judgement.exposure,
            baking=judgement.baking,
            begun_at=now.step_begun_at,
            ended_at=datetime.now(UTC),
            looks=looks,
            passed=standing.passed,
            proved=standing.passed and judgement.overridden is None,
            cause=standing.cause,
            reasons=standing.reasons,
            judgement=judgement.model_dump(mode="json"),
        )


def _override(told: list[Said], rollout: Rollout) -> Override | None:
    found = [each for each in told if each.decision == "override" and each.step == rollout.step]
    return (
        Override(step=rollout.step, who=found[-1].who, why=found[-1].why, at=found[-1].at.timestamp())
        if found
        else None
    )


def _lapsed(rollout: Rollout, last: Judgement | None) -> str:
    seen = f": {last.reasons[0]}" if last and last.reasons and last.decision is not Decision.GO else ""
    return f"the lease of {rollout} was over {-rollout.lease_left:.1f} s ago, not renewed since the last look was not fresh{seen}"
