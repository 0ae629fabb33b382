"""What a proof found against a copy, or could not find out."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, JsonValue

from steward.verdicts import Verdict


class Finding(BaseModel):
    """One fact against the copy (REFUTED), or one that could not be established (UNKNOWN)."""

    model_config = ConfigDict(frozen=True)

    verdict: Verdict
    subject: str
    """The index, document, alias, template or query it is about."""
    fact: str
    """What was seen, and what was expected."""

    def __str__(self) -> str:
        return f"{self.verdict}: {self.subject}: {self.fact}"


def refuted(subject: str, fact: str) -> Finding:
    """The copy is wrong."""
    return Finding(verdict=Verdict.REFUTED, subject=subject, fact=fact)


def unknown(subject: str, fact: str) -> Finding:
    """It could not be checked."""
    return Finding(verdict=Verdict.UNKNOWN, subject=subject, fact=fact)


def as_stated(findings: Iterable[Finding], error: str | None, subject: str) -> tuple[JsonValue, ...]:
    """*findings* as statements have them; an *error* is one on *subject* that could not be checked."""
    unchecked = [unknown(subject, error)] if error else []
    return tuple(finding.model_dump(mode="json") for finding in [*findings, *unchecked])
