"""What the providers' administrations list as limits, read as they document it; what is not so is an error, never "no limit"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from steward.ai.errors import LimitsUnreadable
from steward.ai.limit_drift import Dimension, Theirs

R = TypeVar("R", bound=BaseModel)

# Both kinds of input are limits side by side: one counts what is read from a cache, the other does not.
_ANTHROPIC: Mapping[str, Dimension] = {
    "requests_per_minute": "requests",
    "input_tokens_per_minute": "input_tokens",
    "input_tokens_per_minute_cache_aware": "input_tokens",
    "output_tokens_per_minute": "output_tokens",
    "tokens_per_minute": "tokens",
}


class _OfProject(BaseModel):
    model: str
    max_requests_per_1_minute: int
    max_tokens_per_1_minute: int


class _Value(BaseModel):
    type: str
    value: int


class _OfGroup(BaseModel):
    """`models` is null where a limit is not about models."""

    models: list[str] | None
    limits: list[_Value]


class _OfOrganization(_OfGroup):
    id: str | None = None
    """Not told in the API's first version: then a workspace's entry is known by its models."""


class _OfWorkspace(_OfGroup):
    rate_limit_id: str | None = None


def openai_limits(rows: Sequence[Any]) -> tuple[Theirs, ...]:
    """Of a project: `GET /v1/organization/projects/{id}/rate_limits`. Raises LimitsUnreadable."""
    return tuple(
        Theirs(models=(row.model,), requests=row.max_requests_per_1_minute, tokens=row.max_tokens_per_1_minute)
        for row in _read(rows, _OfProject)
    )


def anthropic_limits(rows: Sequence[Any], of_workspace: Sequence[Any]) -> tuple[Theirs, ...]:
    """Of an organisation, and of a workspace where it has its own: the lower one of both holds. Raises LimitsUnreadable.

    `GET /v1/organizations/rate_limits` and `…/workspaces/{id}/rate_limits`; models of one group share its limits.
    """
    own = _read(of_workspace, _OfWorkspace)
    return tuple(
        Theirs(models=tuple(row.models), **_lowest([*row.limits, *_lowered(row, own)]))
        for row in _read(rows, _OfOrganization)
        if row.models
    )


def _lowered(row: _OfOrganization, own: Iterable[_OfWorkspace]) -> Iterator[_Value]:
    for each in own:
        same_models = not set(row.models or ()).isdisjoint(each.models or ())
        if each.rate_limit_id == row.id if row.id and each.rate_limit_id else same_models:
            yield from each.limits


def _lowest(values: Iterable[_Value]) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in values:
        if dimension := _ANTHROPIC.get(each.type):
            found[dimension] = min(each.value, found.get(dimension, each.value))
    return found


def _read(rows: Sequence[Any], kind: type[R]) -> list[R]:
    try:
        return [kind.model_validate(row) for row in rows]
    except ValidationError as error:
        faults = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors(include_input=False)
        )
        raise LimitsUnreadable(
            f"the provider lists limits otherwise than it documents: {faults[:300]}",
            hint="compare with its API reference; until then its limits are not known",
        ) from None
