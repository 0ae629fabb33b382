"""What an audit found: named so that the same fact has the same name tomorrow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from steward.keys.audit_facts import Some, Unread
from steward.verdicts import Verdict


class Finding(BaseModel):
    """One fact that is not as the policy says (REFUTED), or that could not be established (UNKNOWN)."""

    model_config = ConfigDict(frozen=True)

    check: str
    """What kind of fact: `kek-disabled`, `grant-extra` …"""
    subject: str
    """What it is about: a key's version, a role, a tenant. No age and no count is in it."""
    seen: str
    expected: str
    hint: str
    verdict: Verdict = Verdict.REFUTED

    @property
    def id(self) -> str:
        """The same for the same fact in every audit."""
        return f"{self.check}:{self.subject}"

    def __str__(self) -> str:
        return f"{self.verdict}: {self.id}: saw {self.seen}; expected {self.expected}"


def unread(source: Unread) -> Finding:
    """A source that could not be read: what it would have shown is UNKNOWN."""
    return Finding(
        check="unread",
        subject=source.source,
        seen=source.reason,
        expected="an answer",
        hint=source.hint or "see whether it runs and can be reached from here",
        verdict=Verdict.UNKNOWN,
    )


def of_generations(some: Some, now: datetime, *, check: str, told: str, expected: str, hint: str) -> Iterator[Finding]:
    """One finding a generation, as far as they are named, and one for the rest."""
    for each in some.first:
        seen = f"generation {each.number} {told} for {age(now - each.since)}"
        yield Finding(check=check, subject=f"{each.tenant}/{each.number}", seen=seen, expected=expected, hint=hint)
    if rest := some.total - len(some.first):
        yield Finding(check=check, subject="others", seen=f"{rest} more generations", expected=expected, hint=hint)


def age(span: timedelta) -> str:
    """As people say it: `36 days`, `5 hours`, `3 minutes`."""
    seconds = max(0, int(span.total_seconds()))
    for unit, size in (("days", 86_400), ("hours", 3_600)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds // 60} minutes"


def listed(names: Iterable[str]) -> str:
    """Names in their order, or `none`."""
    return ", ".join(sorted(names)) or "none"
