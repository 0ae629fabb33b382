"""GitHub's deliveries: which event, what happened, and when.

https://docs.github.com/en/webhooks/webhook-events-and-payloads. A redelivery keeps X-GitHub-Delivery and the body; two webhooks that
tell of the same event do not, so the key is made of what the event itself is known by.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, NamedTuple

from pydantic import Field

from steward.webhooks.delivery import Delivery, Payload, payload_of
from steward.webhooks.errors import UnknownEvent
from steward.webhooks.reading import Id, Moment, Part, Word, demand_header, read_part

DELIVERY, EVENT = "X-GitHub-Delivery", "X-GitHub-Event"
_PROTECTION = "deployment_protection_rule"


class _Told(NamedTuple):
    action: str | None
    key: str
    occurred_at: datetime


class _Made(Part):
    id: Id
    created_at: Moment


class _Deployment(Part):
    action: Word
    deployment: _Made


class _DeploymentStatus(Part):
    action: Word
    deployment_status: _Made
    deployment: _Made


class _Run(Part):
    id: Id
    run_attempt: Id
    updated_at: Moment


class _WorkflowRun(Part):
    action: Word
    workflow_run: _Run


class _Asked(Part):
    id: Id
    updated_at: Moment


class _ProtectionRule(Part):
    action: Word
    # A name that somebody gave: anything but control characters.
    environment: Annotated[str, Field(strict=True, pattern=r"^[^\x00-\x1f\x7f]{1,255}$")]
    deployment_callback_url: Annotated[str, Field(strict=True, max_length=2000)]
    deployment: _Asked


class _Ping(Part):
    zen: Annotated[str, Field(strict=True)]
    hook_id: Id


def _deployment(payload: Payload) -> _Told:
    read = read_part(_Deployment, payload, "deployment")
    return _Told(read.action, f"deployment/{read.deployment.id}/{read.action}", read.deployment.created_at)


def _deployment_status(payload: Payload) -> _Told:
    read = read_part(_DeploymentStatus, payload, "deployment_status")
    return _Told(read.action, f"deployment_status/{read.deployment_status.id}", read.deployment_status.created_at)


def _workflow_run(payload: Payload) -> _Told:
    """When it changed: a run may have been created long before it is asked for again."""
    read = read_part(_WorkflowRun, payload, "workflow_run")
    run = read.workflow_run
    return _Told(read.action, f"workflow_run/{run.id}/{run.run_attempt}/{read.action}", run.updated_at)


def _protection_rule(payload: Payload) -> _Told:
    read = read_part(_ProtectionRule, payload, _PROTECTION)
    return _Told(read.action, f"{_PROTECTION}/{read.deployment.id}/{read.environment}", read.deployment.updated_at)


_READERS: Mapping[str, Callable[[Payload], _Told]] = {
    "deployment": _deployment,
    "deployment_status": _deployment_status,
    "workflow_run": _workflow_run,
    _PROTECTION: _protection_rule,
}
_PING = "ping"

EVENTS = frozenset({*_READERS, _PING})
"""All that can be read; a webhook that sends others is set up with too many."""


def read(source: str, headers: Mapping[str, str], body: bytes, *, now: datetime) -> Delivery:
    """The delivery of *source* that *headers*, by lower-case names, and *body* are. Whether it is genuine is not asked here.

    Raises BadHeader, MalformedBody and UnknownEvent. A ping tells of no time: it happens *now*, and each is one of its own.
    """
    delivery = demand_header(headers, DELIVERY)
    payload = payload_of(body)
    event = demand_header(headers, EVENT)
    if event not in EVENTS:
        raise UnknownEvent(
            f"nothing is made for the event {event}; known: {', '.join(sorted(EVENTS))}",
            hint="choose these events alone in the webhook's settings at GitHub",
        )
    if event == _PING:
        hook = read_part(_Ping, payload, _PING).hook_id
        told = _Told(None, f"{_PING}/{hook}/{delivery}", now)
    else:
        told = _READERS[event](payload)
    return Delivery(
        source=source,
        kind="github",
        delivery=delivery,
        event=event,
        action=told.action,
        key=told.key,
        occurred_at=told.occurred_at,
        body=body,
        payload=payload,
    )
