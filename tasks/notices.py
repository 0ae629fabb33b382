"""Telling a rollout's stakeholders, each target once, whatever dies: a step a target, side by side.

A notice never ends a rollout, and never holds it up for long: what could not be told is an answer, for the evidence.
"""

from __future__ import annotations

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.context import FlowRunContext
from prefect.futures import PrefectFuture
from prefect.logging import get_run_logger
from prefect.utilities.urls import url_for

from steward.clients.telling import Telling, linked, targets_of
from steward.notices.notice import Notice, Told
from steward.operations.steps import Kind, Step, current_step, run_step
from steward.settings import load
from tasks.durable import RETRY_DELAYS_SECONDS, waiting_may_cure


def tell(notice: Notice) -> list[Told]:
    """Tell every target of the settings, in about ten seconds at most; what an earlier attempt told is not told again.

    In the body of a durable flow, forward or turned back. A target that is away is an answer, with its reason; raised is
    only what the ledger raises, as by every step.
    """
    return [each.result() for each in announce(notice)]


def announce(notice: Notice) -> list[PrefectFuture[Told]]:
    """As `tell`, and without waiting for anybody."""
    return [tell_target.submit(name, notice) for name in targets_of(load(), notice)]


# Not by `@step`, whose arguments must be the same in every attempt: two may word their reasons differently, and what
# happened is the same. Told twice in one attempt, it is told once.
@task(
    name="tell",
    task_run_name="tell {target}: {notice.happened}",
    retries=len(RETRY_DELAYS_SECONDS),
    retry_delay_seconds=RETRY_DELAYS_SECONDS,
    retry_condition_fn=waiting_may_cure,
    cache_policy=NO_CACHE,
    persist_result=False,
)
def tell_target(target: str, notice: Notice) -> Told:
    """One target, once: a second try looks at GitHub first, sends a mail under the same id, and says so to a webhook."""
    told = run_step(
        Step(
            name="tell",
            key=f"{target} {notice.key}",
            body=lambda: _tell(target, notice),
            inputs={"target": target, "of": notice.message_id},
            caller="notice",
            kind=Kind.CLOSING,
            decode=Told.model_validate,
        )
    )
    if not told.ok:
        get_run_logger().warning("%s was not told that it is %s: %s", target, notice.happened, told.error)
    return told


def _tell(target: str, notice: Notice) -> Told:
    settings = load()
    linked_notice = linked(settings, notice)
    if not notice.run_url:
        linked_notice = linked_notice.model_copy(update={"run_url": _run_url()})
    return Telling(settings, target, linked_notice, again=current_step().tries > 1).come_to()


def _run_url() -> str:
    context = FlowRunContext.get()
    run = context.flow_run if context else None
    return (url_for("flow-run", obj_id=run.id) or "") if run else ""
