"""What a twin does wrong on purpose: rules that a test lays by the admin API, each drawn by seed and by arrival.

Whether a rule strikes the Nth arrival at a provider depends on the seed, the rule's name and N: a run that is repeated
request by request is struck in the same places.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from replica.providers.errors import Refusal

# By kind: which of an effect's fields a rule may set.
_KINDS: Mapping[str, tuple[str, ...]] = {
    "latency": ("milliseconds", "jitter_milliseconds"),
    "first_token": ("milliseconds",),
    "pace": ("milliseconds",),
    "error": ("status", "retry_after_seconds"),
    "dark": (),
    "hang": ("silent_seconds", "billed"),
    "cut": ("after",),
    "truncate": (),
    "stream_error": ("after",),
    "tier": ("served",),
    "output": ("tokens",),
    "uncached": (),
}


@dataclass(slots=True)
class Effects:
    """All that befalls one attempt."""

    latency_seconds: float = 0.0
    first_token_seconds: float = 0.0
    token_seconds: float = 0.0
    status: int | None = None
    retry_after_seconds: float | None = None
    dark: bool = False
    """The connection is closed without a word."""
    hang_seconds: float | None = None
    """No answer for so long, then the connection is closed."""
    billed_though_hung: bool = False
    cut_after: float | None = None
    """The share of a stream's events after which the connection is cut."""
    truncate: bool = False
    """The stream ends in good order, but without usage and without its last event."""
    error_after: float | None = None
    """The share of a stream's events after which an error event ends it."""
    tier: str | None = None
    output_tokens: int | None = None
    uncached: bool = False

    def failure(self) -> Refusal:
        """The error that `status` names."""
        headers: dict[str, str] = {}
        if self.retry_after_seconds is not None:
            headers["retry-after"] = str(max(0, round(self.retry_after_seconds)))
        return Refusal(self.status or 500, "", headers=headers)


@dataclass(slots=True)
class Rule:
    """`share` of the matching arrivals `first` to `last` (counted from 0 at each provider), at most `times`, for `seconds`."""

    name: str
    kind: str
    values: Mapping[str, Any]
    provider: str | None = None
    account: str | None = None
    model: str | None = None
    stream: bool | None = None
    share: float = 1.0
    first: int = 0
    last: int | None = None
    times: int | None = None
    seconds: float | None = None
    laid_at: float = field(default_factory=time.monotonic)
    struck: int = 0

    def matches(self, arrival: Arrival) -> bool:
        """Whether *arrival* is one of those it is meant for."""
        meant = (
            (self.provider, arrival.provider),
            (self.account, arrival.account),
            (self.model, arrival.model),
            (self.stream, arrival.stream),
        )
        return all(wanted is None or wanted == seen for wanted, seen in meant) and self._due(arrival.ordinal)

    def stands(self, provider: str, account: str) -> bool:
        """Whether it is about the whole *provider*, or all of *account*: whatever is asked, and not one arrival in so many."""
        whole = (self.model, self.stream, self.last, self.times) == (None, None, None, None)
        meant = self.provider in {None, provider} and self.account in {None, account}
        return whole and meant and self.share >= 1 and not self.first and not self._late

    @property
    def _late(self) -> bool:
        return self.seconds is not None and time.monotonic() > self.laid_at + self.seconds

    def _due(self, ordinal: int) -> bool:
        late = self._late
        spent = self.times is not None and self.struck >= self.times
        return not late and not spent and self.first <= ordinal and (self.last is None or ordinal <= self.last)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One attempt as rules see it."""

    provider: str
    account: str
    model: str
    stream: bool
    ordinal: int


class Dials:
    """The rules in force."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rules: list[Rule] = []

    def lay(self, table: Mapping[str, Any]) -> None:
        """One more rule, from JSON; Refusal 400 names what it cannot read."""
        self._rules.append(_rule(table, f"rule-{len(self._rules)}"))

    def clear(self) -> None:
        """No rules."""
        self._rules.clear()

    def effects(self, arrival: Arrival) -> Effects:
        """All that befalls *arrival*; a later rule wins over an earlier one of the same kind."""
        effects = Effects()
        for rule in self._rules:
            if rule.matches(arrival) and self._drawn(rule, arrival) < rule.share:
                rule.struck += 1
                self._apply(rule, arrival, effects)
        return effects

    def standing(self, provider: str, account: str) -> Effects:
        """What befalls questions that are no attempts, such as a list of models. They count as no arrival, so that whoever
        asks beside a run does not change where the run is struck.
        """
        effects = Effects()
        for rule in self._rules:
            if rule.stands(provider, account):
                self._apply(rule, Arrival(provider, account, "", stream=False, ordinal=0), effects)
        return effects

    def report(self) -> list[dict[str, Any]]:
        """The rules, and how often each struck."""
        return [
            {
                "name": rule.name,
                "kind": rule.kind,
                **rule.values,
                **{name: getattr(rule, name) for name in _MATCHING if getattr(rule, name) is not None},
                "struck": rule.struck,
            }
            for rule in self._rules
        ]

    def _drawn(self, rule: Rule, arrival: Arrival, what: str = "share") -> float:
        text = f"{self._seed}:{rule.name}:{what}:{arrival.provider}:{arrival.ordinal}"
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=6).digest(), "big") / 2**48

    def _apply(self, rule: Rule, arrival: Arrival, effects: Effects) -> None:
        values = rule.values
        match rule.kind:
            case "latency":
                jitter = values.get("jitter_milliseconds", 0) * self._drawn(rule, arrival, "jitter")
                effects.latency_seconds = (values.get("milliseconds", 0) + jitter) / 1000
            case "first_token":
                effects.first_token_seconds = values.get("milliseconds", 1000) / 1000
            case "pace":
                effects.token_seconds = values.get("milliseconds", 20) / 1000
            case "error":
                effects.status = int(values.get("status", 500))
                effects.retry_after_seconds = values.get("retry_after_seconds")
            case "hang":
                effects.hang_seconds = float(values.get("silent_seconds", 3600))
                effects.billed_though_hung = bool(values.get("billed", False))
            case "cut":
                effects.cut_after = float(values.get("after", 0.5))
            case "stream_error":
                effects.error_after = float(values.get("after", 0.5))
            case "tier":
                effects.tier = str(values.get("served", "default"))
            case "output":
                effects.output_tokens = int(values.get("tokens", 16))
            case _:
                setattr(effects, rule.kind, True)


_MATCHING = ("provider", "account", "model", "stream", "share", "first", "last", "times", "seconds")


def _rule(table: Mapping[str, Any], name: str) -> Rule:
    kind = table.get("kind", "")
    if kind not in _KINDS:
        raise Refusal(400, f"kind is {kind!r}, expected one of {', '.join(_KINDS)}")
    known = {"name", "kind", *_MATCHING, *_KINDS[kind]}
    if strange := set(table) - known:
        raise Refusal(
            400, f"a rule of kind {kind} knows no {', '.join(sorted(strange))}; it takes {', '.join(sorted(known))}"
        )
    values = {each: table[each] for each in _KINDS[kind] if each in table}
    chosen = {each: table[each] for each in _MATCHING if each in table}
    return Rule(name=str(table.get("name", name)), kind=kind, values=values, **chosen)
