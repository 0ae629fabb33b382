"""The operation ledger's two words to a flow's author: `@durable` under `@flow`, `@step` in place of `@task`.

docs/flows.md tells how to write with them, and docs/adr/0005-operation-ledger.md what each behaviour is and why.

Prefect shows and schedules; the ledger decides. Nothing is cached or stored by Prefect: a result in its storage would
be a second memory beside the ledger, without a token, and the first place where a secret leaks.
"""

from __future__ import annotations

import functools
import inspect
import os
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, get_type_hints

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.context import FlowRunContext, TaskRunContext
from prefect.exceptions import Pause, TerminationSignal
from prefect.logging import get_run_logger
from prefect.states import Cancelled, Completed
from pydantic import TypeAdapter

from steward.clients.postgres import connect
from steward.errors import Unavailable, is_transient
from steward.evidence.store import list_statements
from steward.operations import claims, steps
from steward.operations.claims import Identity, Operation, Run, Terms
from steward.operations.errors import AlreadyEnded, Held, Superseded
from steward.operations.following import operation_id_of, recorded_of
from steward.operations.holding import Holding, current, holding
from steward.operations.ledger import Ledger
from steward.operations.steps import Doubt, Kind, Step, run_step
from steward.settings import VARIABLE, load
from steward.verdicts import NotVerified, Verdict
from tasks.lineage import asked_for, is_unwanted, tell_parent

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

# Long enough for an election of a master or a failover of PostgreSQL, short beside a night.
RETRY_DELAYS_SECONDS: list[float] = [2, 10, 30]
#: The tag by which a run that takes an operation up again keeps its period: it starts at another time.
PERIOD_TAG = "period:"
#: How long a run that was suspended by hand may wait to be resumed. An approval says itself how long.
SUSPENDED_SECONDS = 24 * 3600.0
#: Told to end, this process ends by itself within this time, even with a step stuck in a thread: inside the 30 s that
#: Prefect and Kubernetes give before they kill.
END_SECONDS = 15.0
#: How long it then tries to release the lease. Not released, it expires by itself.
RELEASE_SECONDS = 3.0
#: EX_TEMPFAIL: whoever started the process may start another.
EXIT_CODE = 75


def operation() -> Operation:
    """The operation that this flow or step belongs to. Raises NoOperation."""
    return current().operation


@contextmanager
def turning_back(reason: object) -> Generator[None]:
    """Undo, once and for all attempts: from here only steps of kind undo, always and closing run. Raises Superseded."""
    held = current()
    with claims.turning_back(held.ledger, held.operation, reason):
        yield


def ledger() -> Ledger:
    """This process's ledger, by the settings as they are now."""
    named = os.environ.get(VARIABLE, "")
    return _ledger(named, Path(named).stat().st_mtime_ns if named and Path(named).exists() else 0)


@functools.lru_cache(maxsize=1)
def _ledger(_named: str, _changed_ns: int) -> Ledger:
    return Ledger(load())


def waiting_may_cure(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Whether the failed try may be repeated: a time-out may pass, a bad checksum or a lost operation will not."""
    return isinstance(state.data, BaseException) and is_transient(state.data)


def step(
    name: str,
    *,
    run_name: str | None = None,
    key: str = "",
    kind: Kind = Kind.ONCE,
    find: Callable[..., Any] | None = None,
    doubt: Doubt = Doubt.AGAIN,
) -> Callable[[F], F]:
    """Turn a function into a step called *name*: a Prefect task whose effect the ledger records.

    Args:
        name: As people read it.
        run_name: A template over the arguments, for one run of it.
        key: A template over the arguments that tells the calls of one step apart in one operation.
        kind: When it runs, and whether its recorded result stands for it.
        find: Called with the same arguments before a second try: the effect's result if it happened, else None.
        doubt: What to do where nothing tells whether an earlier try happened.
    """

    def wrap(fn: F) -> F:
        signature = inspect.signature(fn)

        @functools.wraps(fn)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            # The ledger is asked inside the task: at every try, in whatever thread.
            return run_step(
                Step(
                    name=fn.__name__,
                    body=functools.partial(fn, *args, **kwargs),
                    key=key.format(**bound.arguments),
                    inputs=bound.arguments,
                    caller=_task_run_id(),
                    kind=kind,
                    find=functools.partial(find, *args, **kwargs) if find else None,
                    doubt=doubt,
                    decode=lambda value: _result_type(fn).validate_python(value),
                )
            )

        return task(  # pyright: ignore[reportReturnType]  Task is called as the function it wraps
            name=name,
            task_run_name=run_name or name,
            retries=len(RETRY_DELAYS_SECONDS),
            retry_delay_seconds=RETRY_DELAYS_SECONDS,
            retry_condition_fn=waiting_may_cure,
            cache_policy=NO_CACHE,
            persist_result=False,
        )(recorded)

    return wrap


def _task_run_id() -> str:
    context = TaskRunContext.get()
    return str(context.task_run.id) if context else ""


@functools.cache
def _result_type(fn: Callable[..., Any]) -> TypeAdapter[Any]:
    return TypeAdapter(get_type_hints(fn).get("return", Any))


def recorded(of: Callable[..., R], key: str = "") -> R | None:
    """What the operation has recorded of the step *of* in this or an earlier attempt; None: it is not done."""
    fn: Callable[..., R] = inspect.unwrap(of.fn)  # pyright: ignore[reportFunctionMemberAccess]  a Task has it
    row = steps.recorded(fn.__name__, key)
    return _result_type(fn).validate_python(row["result"]) if row else None


def recorded_by(operation_id: int, round_: int, of: Callable[..., R], key: str = "") -> R | None:
    """As `recorded`, of another operation: what a parent has recorded, its children need not be told."""
    fn: Callable[..., R] = inspect.unwrap(of.fn)  # pyright: ignore[reportFunctionMemberAccess]  a Task has it
    row = recorded_of(ledger(), operation_id, round_, fn.__name__, key)
    return _result_type(fn).validate_python(row["result"]) if row else None


def durable(
    *,
    subject: str = "",
    period: Callable[..., str] | None = None,
    resource: str | None = None,
    terms: Terms | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Run the flow as the operation (the flow's name, *subject*, *period*).

    A run that finds another at work, or itself superseded, ends Cancelled under that name: neither is a failure. One
    that finds the operation VERIFIED gives its recorded result, and does nothing.

    Args:
        subject: What it works on: a template over the flow's arguments.
        period: Which occurrence it is, from the flow's arguments; absent: each run is an operation of its own.
        resource: What two operations must not work on at once: a template; absent: name and subject.
        terms: Deadline over all attempts, and how many of them may die.
    """

    def wrap(fn: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(fn):
            message = f"{fn.__name__}: a durable flow is a plain function"
            raise TypeError(message)
        # Resolved here: Prefect makes the form from the wrapper, whose module knows none of the flow's types.
        signature = inspect.signature(fn, eval_str=True)

        @functools.wraps(fn)
        def run(*args: P.args, **kwargs: P.kwargs) -> Any:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            name, flow_run = _flow_run()
            occurrence = _tagged_period(flow_run) or (period(**bound.arguments) if period else asked_for(flow_run))
            identity = Identity(
                name,
                subject.format(**bound.arguments),
                occurrence,
                resource.format(**bound.arguments) if resource else "",
            )
            if is_unwanted(ledger(), flow_run):
                return Cancelled(
                    name="Skipped", message="the operation that started this run has ended, or turned back"
                )
            try:
                held = claims.claim(ledger(), identity, _as_run(flow_run), terms)
            except AlreadyEnded as ended:
                tell_parent(flow_run, ended.operation_id)
                return _told(identity, ended, _result_type(fn))
            except Held as other:
                if terms and not terms.queues:
                    raise
                tell_parent(flow_run, operation_id_of(ledger(), identity))
                return Cancelled(name="Skipped", message=str(other))
            try:
                return _run_held(held, lambda: fn(*args, **kwargs))
            except Superseded as lost:
                return Cancelled(name="Superseded", message=str(lost))

        run.__signature__ = signature  # pyright: ignore[reportAttributeAccessIssue]  what inspect looks for
        return run

    return wrap


def _flow_run() -> tuple[str, FlowRun]:
    context = FlowRunContext.get()
    if context is None or context.flow is None or context.flow_run is None:
        message = "a durable flow is called without its flow: put @flow above @durable"
        raise TypeError(message)
    if context.flow.timeout_seconds is not None:
        # It ends the flow by an exception that no `except Exception` sees, so nothing is undone, and it begins anew with
        # each attempt.
        message = (
            f"flow {context.flow.name} has timeout_seconds: a durable flow's time is Terms(deadline_seconds=...), "
            "which counts over all attempts and lets it clean up"
        )
        raise TypeError(message)
    return context.flow.name, context.flow_run


def _tagged_period(flow_run: FlowRun) -> str | None:
    if flow_run.parent_task_run_id and not flow_run.deployment_id:
        # A subflow inherits its parent's tags, and the parent's period is not its own.
        return None
    return next((tag.removeprefix(PERIOD_TAG) for tag in flow_run.tags if tag.startswith(PERIOD_TAG)), None)


def _as_run(flow_run: FlowRun) -> Run:
    deployment = str(flow_run.deployment_id) if flow_run.deployment_id else None
    return Run(str(flow_run.id), deployment, flow_run.parameters, flow_run.expected_start_time or flow_run.created)


def _told(identity: Identity, ended: AlreadyEnded, result_type: TypeAdapter[Any]) -> Any:
    """The end of a run that comes too late: what was done is said, with its evidence, and nothing is done."""
    if ended.verdict is not Verdict.VERIFIED:
        raise ended
    with connect(load()) as db:
        statements = list_statements(db, identity.name, subject=identity.subject, period=identity.period)
    evidence = ", ".join(each.digest for each in statements) or "none recorded"
    said = f"{ended.message}; evidence: {evidence}"
    get_run_logger().info("nothing to do: %s", said)
    return Completed(name="AlreadyDone", message=said, data=result_type.validate_python(ended.result))


def _run_held(held: Operation, body: Callable[[], R]) -> R:
    """Run the flow's body under its lease, and record how it ended."""
    book = ledger()
    with holding(book, held) as holder:
        try:
            result = body()
        except Superseded:
            raise
        except NotVerified as finding:
            claims.conclude(book, held, finding.verdict, finding.report, str(finding))
            raise
        except Exception as failure:
            claims.fail(book, held, f"{type(failure).__name__}: {failure}")
            raise
        except Pause as pause:
            claims.wait(book, held, _seconds_to_wait(pause))
            raise
        except BaseException as told:
            # The reaper asks Prefect whether that was a cancellation.
            _give_up(book, holder, told)
            raise
        claims.conclude(book, held, getattr(result, "verdict", None), result, None)
        return result


def _seconds_to_wait(pause: Pause) -> float:
    """How long a person may take: what the suspended state says, or SUSPENDED_SECONDS for one that says nothing."""
    until = pause.state.state_details.pause_timeout if pause.state else None
    return (until - datetime.now(UTC)).total_seconds() if until else SUSPENDED_SECONDS


def _give_up(book: Ledger, holder: Holding, told: BaseException) -> None:
    """Release the lease of a process that was told to end, and see to it that it does end.

    A step that another thread is still at is refused at its next write, and cannot record; but Prefect waits for that
    thread, and what waits is killed without a word when the grace is over.
    """
    holder.heartbeat.give_up()
    if isinstance(told, TerminationSignal):
        end = threading.Timer(END_SECONDS, os._exit, [EXIT_CODE])
        end.daemon = True
        end.start()
    with suppress(Superseded, Unavailable):
        claims.release(Ledger(book.settings, patience_seconds=RELEASE_SECONDS), holder.operation)
