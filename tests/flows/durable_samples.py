"""Small durable flows. Each writes what it does to a file, so that tests judge by effects and not by the ledger."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from prefect import flow, task
from prefect.task_runners import ThreadPoolTaskRunner
from pydantic import JsonValue

from steward.errors import Unavailable
from steward.operations.claims import Identity, Terms, claim
from steward.operations.effects import note_effects
from steward.operations.errors import DeadlinePassed
from steward.operations.steps import Kind
from steward.verdicts import NotVerified, Verdict
from tasks.approvals import Unanswered, approve
from tasks.children import run_child
from tasks.durable import durable, ledger, operation, step, turning_back


def write(log: str, line: str) -> None:
    with Path(log).open("a") as file:
        file.write(f"{line}\n")


def period(**_arguments: object) -> str:
    return "2025-07-31"


@step("make", key="{thing}")
def make(log: str, thing: str) -> str:
    write(log, f"made {thing}")
    return thing.upper()


@step("clean", kind=Kind.ALWAYS)
def clean(log: str) -> None:
    write(log, "cleaned")


@flow(name="verified", persist_result=False)
@durable(subject="{subject}", period=period, terms=Terms(wait_seconds=0.5))
def verified(log: str, subject: str) -> dict[str, str]:
    """Makes one thing, and comes to a verdict.

    Args:
        log: Where its effects are written.
        subject: What it is about.
    """
    return Made(verdict=Verdict.VERIFIED, thing=make(log, "a"))


@flow(name="each-run", persist_result=False)
@durable(subject="{subject}", terms=Terms(wait_seconds=0.5))
def each_run(log: str, subject: str) -> dict[str, str]:
    """Is an operation of its own each time that it is asked for."""
    return Made(verdict=Verdict.VERIFIED, thing=make(log, "a"))


class Made(dict[str, str]):
    """A result with a verdict."""

    @property
    def verdict(self) -> Verdict:
        return Verdict(self["verdict"])


@flow(name="refuted", retries=1, retry_delay_seconds=0, persist_result=False)
@durable(subject="{subject}", period=period)
def refuted(log: str, subject: str) -> None:
    make(log, "a")
    raise NotVerified("one document is missing", verdict=Verdict.REFUTED)


@flow(name="fails-once", retries=1, retry_delay_seconds=0, persist_result=False)
@durable(subject="{subject}", period=period)
def fails_once(log: str, subject: str) -> str:
    made = make(log, "a")
    write(log, f"attempt {operation().attempt} round {operation().round}")
    if operation().attempt == 1:
        raise ValueError("no such thing")
    return made


@flow(name="spread", task_runner=ThreadPoolTaskRunner(max_workers=4), persist_result=False)
@durable(subject="{subject}", period=period)
def spread(log: str, subject: str) -> list[str]:
    alone = make.submit(log, "alone")
    return [alone.result(), *make.map(log, ["x", "y", "z"]).result()]


@flow(name="plain-part", persist_result=False)
def plain_part(log: str) -> str:
    return make(log, "in a part")


@flow(name="durable-part", persist_result=False)
@durable(subject="{subject}", period=period)
def durable_part(log: str, subject: str) -> str:
    write(log, f"part of token {operation().token}")
    return make(log, "in a durable part")


@flow(name="composed", persist_result=False)
@durable(subject="{subject}", period=period)
def composed(log: str, subject: str) -> list[str]:
    write(log, f"whole of token {operation().token}")
    return [plain_part(log), durable_part(log, f"{subject}/part"), make(log, "after the parts")]


@task(retries=1, retry_delay_seconds=0)
def report_lost(log: str) -> str:
    """As when a step's result was recorded and the task that ran it was then failed by something else."""
    made = make.fn(log, "a")
    write(log, "returned")
    if list(Path(log).read_text().split("\n")).count("returned") == 1:
        raise Unavailable("the task's own report was lost")
    return made


@flow(name="report-lost", persist_result=False)
@durable(subject="{subject}", period=period)
def loses_report(log: str, subject: str) -> str:
    return report_lost(log)


@flow(name="timed", timeout_seconds=60, persist_result=False)
@durable(subject="{subject}", period=period)
def timed(log: str, subject: str) -> str:
    return make(log, "a")


@flow(name="late", persist_result=False)
@durable(subject="{subject}", period=period, terms=Terms(deadline_seconds=1.5))
def late(log: str, subject: str) -> str:
    make(log, "in time")
    time.sleep(2)
    try:
        return make(log, "too late")
    except DeadlinePassed:
        clean(log)
        raise


@flow(name="overtaken", persist_result=False)
@durable(subject="{subject}", period=period)
def overtaken(log: str, subject: str) -> str:
    """Is taken over while it is between two steps, as a process that was frozen beyond its lease."""
    make(log, "a")
    ledger().query("UPDATE steward.operations SET lease_until = now() - lease WHERE id = %(id)s", id=operation().id)
    claim(ledger(), Identity("overtaken", subject, period()), terms=Terms(wait_seconds=0))
    return make(log, "b")


@step("block")
def block(log: str, seconds: float) -> None:
    note_effects("half", ["half-made"])
    write(log, f"blocked in {os.getpid()}")
    time.sleep(seconds)
    write(log, "unblocked")


@flow(name="blocking", persist_result=False)
@durable(subject="{subject}", period=period)
def blocking(log: str, subject: str) -> None:
    block(log, 300)


@flow(name="blocking-thread", task_runner=ThreadPoolTaskRunner(max_workers=1), persist_result=False)
@durable(subject="{subject}", period=period)
def blocking_thread(log: str, subject: str) -> None:
    block.submit(log, 300).result()


@step("undo", kind=Kind.UNDO)
def undo(log: str) -> None:
    write(log, "undone")


@flow(name="asking", persist_result=False)
@durable(subject="{subject}", period=period)
def asking(log: str, subject: str, within_seconds: float = 600, dies_in_attempt: int = 0) -> str:
    """Begins, asks a person whether to go on, and goes on or turns back."""
    make(log, "before")
    write(log, f"attempt {operation().attempt} in {os.getpid()}")
    if operation().attempt == dies_in_attempt:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        answer = approve("Go on to half of the tenants?", within_seconds=within_seconds)
    except Unanswered as silence:
        with turning_back(silence):
            undo(log)
        return "turned back"
    make(log, "after")
    return f"{answer.by}: {answer.remark}" if answer.approved else "refused"


@step("work", key="{part}")
def work(log: str, part: str, go: str) -> str:
    """Takes until there is a file *go*, where one is named."""
    write(log, f"{part} begun")
    while go and not Path(go).exists():
        time.sleep(0.1)
    write(log, f"{part} done")
    return f"worked on {part}"


@flow(name="child", persist_result=False)
@durable(subject="{part}")
def child(log: str, part: str, go: str = "", fails_in_attempt: int = 0) -> str:
    done = work(log, part, go)
    if operation().attempt == fails_in_attempt:
        raise ValueError("no such thing")
    return done


@flow(name="parent", persist_result=False)
@durable(subject="{subject}", period=period)
def parent(log: str, subject: str, go: str = "", fails_in_attempt: int = 0) -> list[JsonValue]:
    parameters = {"log": log, "part": f"{subject}/part", "go": go, "fails_in_attempt": fails_in_attempt}
    came_to = run_child("child/child", parameters)
    return [came_to.result, came_to.operation_id]
