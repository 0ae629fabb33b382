"""A step: one side effect that may run twice with the effect of once, as a Prefect task.

Retried where waiting can cure. Nothing is cached or stored: a result in Prefect's storage would be a second memory,
and the first place where a secret leaks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from steward.errors import is_transient

F = TypeVar("F", bound=Callable[..., Any])

# Long enough for an election of a master or a failover of PostgreSQL, short beside the night.
RETRY_DELAYS_SECONDS: list[float] = [2, 10, 30]


def waiting_may_cure(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether the failed try may be repeated: a time-out may pass, a bad checksum will not."""
    return isinstance(state.data, BaseException) and is_transient(state.data)


def step(name: str, *, run_name: str | None = None) -> Callable[[F], F]:
    """Turn a function into a step called *name*; *run_name* is a template over its arguments."""
    return task(  # pyright: ignore[reportReturnType]  Task is called as the function it wraps
        name=name,
        task_run_name=run_name or name,
        retries=len(RETRY_DELAYS_SECONDS),
        retry_delay_seconds=RETRY_DELAYS_SECONDS,
        retry_condition_fn=waiting_may_cure,
        cache_policy=NO_CACHE,
        persist_result=False,
    )
