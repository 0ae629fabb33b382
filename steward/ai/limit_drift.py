"""The limits of our catalog against those that a provider has configured for the account.

Above theirs, requests are refused that we let through; far below, we refuse what the provider would take.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict

from steward.ai.catalog import Catalog, RouteLimits
from steward.verdicts import Verdict, combine

Dimension = Literal["requests", "input_tokens", "output_tokens", "tokens"]
DIMENSIONS: tuple[Dimension, ...] = ("requests", "input_tokens", "output_tokens", "tokens")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Source(StrEnum):
    """Where a provider's limits were read."""

    ADMINISTRATION = "administration"
    HEADERS = "headers"
    """Of the answers that the gateway had in the last ten minutes, as the limiter remembers them."""


class Theirs(_Frozen):
    """One limit of a provider, a minute: models that share it, and what they may use together. Absent: not told."""

    models: tuple[str, ...]
    requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    tokens: int | None = None


class AccountLimits(_Frozen):
    """All that a provider tells of an account."""

    account: str
    source: Source
    limits: tuple[Theirs, ...]
    note: str = ""
    """Why it was not the administration that told."""


class Untold(_Frozen):
    """An account of whose limits nothing could be read."""

    account: str
    reason: str
    hint: str = ""


class Ours(_Frozen):
    """A route of the catalog: its limits hold for an account and a model, whatever alias leads there."""

    account: str
    model: str
    limits: RouteLimits

    @property
    def name(self) -> str:
        return f"{self.account}:{self.model}"

    def of(self, dimension: Dimension) -> int | None:
        """What we let through of it, a minute. A limit on all tokens bounds each kind, and one on each kind bounds all."""
        limits = self.limits
        if dimension == "requests":
            return limits.requests
        both = (limits.input_tokens, limits.output_tokens)
        if dimension == "tokens":
            bounds = [limits.tokens, sum(filter(None, both)) if None not in both else None]
        else:
            bounds = [limits.input_tokens if dimension == "input_tokens" else limits.output_tokens, limits.tokens]
        return min((each for each in bounds if each is not None), default=None)


class Drift(_Frozen):
    """One dimension of one limit: routes that share it."""

    routes: tuple[str, ...]
    dimension: Dimension
    ours: int | None
    """All of the routes together. None: we have no such limit."""
    theirs: int
    verdict: Verdict
    finding: str = ""


class Compared(_Frozen):
    """What came of an account."""

    account: str
    source: Source | None
    drifts: tuple[Drift, ...] = ()
    verdict: Verdict
    findings: tuple[str, ...] = ()


def ours_of(catalog: Catalog) -> tuple[Ours, ...]:
    """Every route once, in order of account and model."""
    routes = {route.name: route for alias in catalog.alias for route in alias.route}
    return tuple(
        Ours(account=each.account, model=each.model, limits=each.limits)
        for each in sorted(routes.values(), key=lambda route: route.name)
    )


def compare_limits(ours: Sequence[Ours], told: AccountLimits | Untold, least_percent: int) -> Compared:
    """*ours* of one account. REFUTED: above theirs, below *least_percent* of them, or a model that they do not list."""
    if isinstance(told, Untold):
        return Compared(
            account=told.account,
            source=None,
            verdict=Verdict.UNKNOWN,
            findings=(f"{told.account}: {told.reason}",),
        )
    drifts = tuple(drift for theirs in told.limits for drift in _drifts(ours, theirs, least_percent))
    listed = {model for theirs in told.limits for model in theirs.models}
    missing = [each for each in ours if each.model not in listed]
    # Headers speak of models that were used lately; the administration of all that there are.
    unseen = Verdict.REFUTED if told.source is Source.ADMINISTRATION else Verdict.UNKNOWN
    why = "its provider lists no limit for it: is it a model of this account?"
    if told.source is Source.HEADERS:
        why = f"nothing was told of it lately, and {told.note}"
    findings = [drift.finding for drift in drifts if drift.finding] + [f"{each.name}: {why}" for each in missing]
    verdict = combine([*(drift.verdict for drift in drifts), *(unseen for _ in missing)])
    return Compared(account=told.account, source=told.source, drifts=drifts, verdict=verdict, findings=tuple(findings))


def _drifts(ours: Sequence[Ours], theirs: Theirs, least_percent: int) -> Iterator[Drift]:
    sharing = [each for each in ours if each.model in theirs.models]
    if not sharing:
        return
    for dimension in DIMENSIONS:
        limit: int | None = getattr(theirs, dimension)
        if limit is not None:
            yield _drift(sharing, dimension, limit, least_percent)


def _drift(sharing: Sequence[Ours], dimension: Dimension, theirs: int, least_percent: int) -> Drift:
    ours = _sum(each.of(dimension) for each in sharing)
    names = tuple(each.name for each in sharing)
    said = f"{' and '.join(names)}: {dimension.replace('_', ' ')} a minute are"
    finding = ""
    if ours is None:
        finding = f"{said} not limited by us, and to {theirs:,} by the provider"
    elif ours > theirs:
        finding = f"{said} {ours:,} in our catalog, and {theirs:,} at the provider: it will refuse what we let through"
    elif 100 * ours < least_percent * theirs:
        finding = f"{said} {ours:,} in our catalog, {_percent(ours, theirs)} of the provider's {theirs:,}"
    verdict = Verdict.REFUTED if finding else Verdict.VERIFIED
    return Drift(routes=names, dimension=dimension, ours=ours, theirs=theirs, verdict=verdict, finding=finding)


def _sum(limits: Iterable[int | None]) -> int | None:
    total = 0
    for each in limits:
        if each is None:
            return None
        total += each
    return total


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}%"
