"""How a run is known for what it is: its parent's child, by a tag on the way down and a label on the way up; or another's replacement."""

from __future__ import annotations

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext

from steward.operations.claims import Operation
from steward.operations.following import operation_id_of_run, wants_children
from steward.operations.ledger import Ledger

_PARENT_TAG = "parent:"
#: The watch tags so whatever it makes in place of a run that did not begin.
INSTEAD_TAG = "instead-of:"
_OPERATION_LABEL = "steward.operation"


def parent_tag(parent: Operation) -> str:
    """The tag of a child's run: who started it, so that a child which nobody wants any more does not begin.

    Without the token: the parent's next attempt has another one, and waits for the same child.
    """
    return f"{_PARENT_TAG}{parent.id}.{parent.round}"


def is_unwanted(ledger: Ledger, flow_run: FlowRun) -> bool:
    """Whether it is a child that has not begun, of an operation that has ended or turned back."""
    parent = _parent(flow_run)
    return (
        parent is not None
        and operation_id_of_run(ledger, str(flow_run.id)) is None
        and not wants_children(ledger, *parent)
    )


def tell_parent(flow_run: FlowRun, operation_id: int | None) -> None:
    """Let a child's run that came too late say which operation it came too late for: the ledger does not know it."""
    if operation_id and _parent(flow_run):
        with get_client(sync_client=True) as client:
            client.update_flow_run_labels(flow_run.id, {_OPERATION_LABEL: operation_id})


def operation_id_for(ledger: Ledger, child: FlowRun) -> int | None:
    """The operation that *child* has held or came too late for; None: there is none, or not yet."""
    told = child.labels.get(_OPERATION_LABEL)
    return operation_id_of_run(ledger, str(child.id)) or (int(told) if told else None)


def _parent(flow_run: FlowRun) -> tuple[int, int] | None:
    tagged = next((tag.removeprefix(_PARENT_TAG) for tag in flow_run.tags if tag.startswith(_PARENT_TAG)), None)
    if tagged is None:
        return None
    number, _, round_ = tagged.partition(".")
    return int(number), int(round_)


def run_asked_for() -> str:
    """The id of this run, or of the one in whose place the watch made it: what was asked for once happens once.

    A run whose process is slow to begin may have been replaced, and begins after all.
    """
    context = FlowRunContext.get()
    if context is None or context.flow_run is None:
        message = "there is a run to ask for only in a flow"
        raise TypeError(message)
    return asked_for(context.flow_run)


def asked_for(flow_run: FlowRun) -> str:
    """As `run_asked_for`, of *flow_run*. A subflow inherits its parent's tags, and is nobody's replacement."""
    if flow_run.parent_task_run_id and not flow_run.deployment_id:
        return str(flow_run.id)
    told = (tag.removeprefix(INSTEAD_TAG) for tag in flow_run.tags if tag.startswith(INSTEAD_TAG))
    return next(told, str(flow_run.id))
