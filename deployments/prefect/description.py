"""`prefect.yaml` as this project allows it: Prefect's own reader drops a key that it does not know without a word.

What is not listed here is refused, Prefect's other keys included: a key comes in with the check that reads it back.
"""

from __future__ import annotations

import contextlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from deployments.prefect.document import Document, Place
from deployments.prefect.faults import Fault, nearest, shown

#: The one work pool. What stands behind it (processes, Docker, Kubernetes) differs by place, so its type is not told here.
POOL = "steward"


class _Strict(BaseModel):
    # Strict, because YAML reads `no` as False and 1 as a number, and Prefect would coerce what was not meant.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, populate_by_name=True)


class WorkPool(_Strict):
    name: str
    job_variables: dict[str, Any] = {}


class Schedule(_Strict):
    """A local 02:30 does not exist once a year and is there twice once a year: UTC."""

    cron: str
    timezone: Literal["UTC"]
    slug: str = Field(min_length=1)
    active: bool = True
    parameters: dict[str, Any] = {}


class Trigger(_Strict):
    """An event that starts a run. Without `expect` Prefect starts one for every event there is."""

    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    enabled: bool = True
    match: dict[str, str | list[str]] = {}
    expect: list[str] = Field(min_length=1)
    parameters: dict[str, Any] = {}


class Deployment(_Strict):
    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    entrypoint: str
    tags: list[str] = Field(min_length=1)
    work_pool: WorkPool
    parameters: dict[str, Any] = {}
    schedules: list[Schedule] = []
    triggers: list[Trigger] = []


class Description(_Strict):
    """The whole file."""

    name: str
    prefect_version: str = Field(alias="prefect-version")
    pull: list[Any] = Field(max_length=0)
    """Empty, and said so: left out, Prefect records the deploying person's folder, which no worker has."""
    deployments: list[Deployment] = Field(min_length=1)


_MODELS: dict[tuple[str, ...], type[_Strict]] = {
    (): Description,
    ("deployments",): Deployment,
    ("deployments", "work_pool"): WorkPool,
    ("deployments", "schedules"): Schedule,
    ("deployments", "triggers"): Trigger,
}
_SLOTS = (
    "remove it: a slot is a lease and not mutual exclusion, and one left behind blocks the operation for ever; "
    "the operation ledger excludes"
)
_HINTS = {
    "missing": "add it; without it Prefect would put something of its own in its place",
    "too_short": "an empty one does not do what its name says",
    "literal_error": "schedules are in UTC, so that none is skipped or doubled when clocks change",
    "too_long": "the project is installed where flows run: nothing is pulled",
}


def parse(document: Document) -> tuple[dict[int, Deployment], list[Fault]]:
    """The deployments that can be read, by their position, and every key and value that is not allowed.

    One that cannot be read hides no fault of the others.
    """
    if document.content is None and document.faults:
        return {}, []
    try:
        return dict(enumerate(Description.model_validate(document.content).deployments)), []
    except ValidationError as error:
        return _readable(document), [_fault(document, detail) for detail in error.errors(include_url=False)]


def _readable(document: Document) -> dict[int, Deployment]:
    content: Any = document.content
    found = content.get("deployments") if isinstance(content, dict) else None
    readable = dict[int, Deployment]()
    for index, each in enumerate(found if isinstance(found, list) else []):
        with contextlib.suppress(ValidationError):
            readable[index] = Deployment.model_validate(each)
    return readable


def _fault(document: Document, detail: ErrorDetails) -> Fault:
    place: Place = detail["loc"]
    if detail["type"] == "extra_forbidden":
        return _unknown_key(document, place)
    if detail["type"] == "missing":
        return Fault(document.where(place), "the key is not there", "one", _HINTS["missing"])
    hint = _HINTS.get(detail["type"], "YAML's own types are taken as they stand; quote what is meant as text")
    return Fault(document.where(place), f"saw {shown(detail['input'])}", _lower(detail["msg"]), hint)


def _unknown_key(document: Document, place: Place) -> Fault:
    key = str(place[-1])
    names = tuple(step for step in place[:-1] if isinstance(step, str))
    known = known_keys(names)
    where, seen = document.where(place), f"unknown key {key!r}"
    if nearest(key, ["concurrency_limit", "concurrency_options", "concurrency"]):
        return Fault(where, seen, "no concurrency slots", _SLOTS)
    meant = nearest(key, known)
    hint = f"did you mean {meant!r}?" if meant else "Prefect may know it; here it is not read back, so it is refused"
    return Fault(where, seen, f"one of {', '.join(known)}", hint)


def known_keys(names: tuple[str, ...]) -> list[str]:
    """The keys allowed in the part of the file called *names*, as they are written there."""
    return [field.alias or name for name, field in _MODELS[names].model_fields.items()]


def _lower(message: str) -> str:
    words = message.removeprefix("Input should be ").removeprefix("Value error, ")
    return words[:1].lower() + words[1:]
