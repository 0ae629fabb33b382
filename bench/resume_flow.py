"""The flow that `bench.resume` kills: deployed to the bench's own server, run by its worker."""

from __future__ import annotations

import time

from prefect import flow

from steward.operations.claims import Terms
from steward.operations.steps import Kind
from tasks.durable import durable, operation, step

LINGER_SECONDS = 3600.0


@flow(name="bench-resume", flow_run_name="{name}", persist_result=False)
@durable(subject="{name}", period=lambda **_: "once", terms=Terms(max_attempts=8))
def bench_resume(name: str) -> None:  # noqa: ARG001  the operation's subject
    """Say that it is here; the first attempt then waits to be killed."""
    arrive()
    linger()


@step("arrive", kind=Kind.ALWAYS)
def arrive() -> None:
    """Each attempt's first step: the ledger notes when."""


@step("linger")
def linger() -> None:
    """In the first attempt for longer than any bench."""
    if operation().attempt == 1:
        time.sleep(LINGER_SECONDS)
