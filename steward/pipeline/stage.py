"""What one stage of the pipeline found."""

from __future__ import annotations

import re
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from steward.verdicts import Verdict

#: As much as a gate's evidence takes: steward/rollout/gates.py.
SUMMARY_CHARACTERS = 500
#: A person reads the first of many; all of them are in what the stage's program wrote.
MOST_FINDINGS, FINDING_CHARACTERS = 50, 500
TAIL_CHARACTERS = 4000
#: All but the end of a line and tab: an escape sequence of a program's output is obeyed by whatever terminal shows it.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class StageFound(BaseModel):
    """A stage's verdict and why. It is kept in the ledger and shown to people: no secret, no output without a bound."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdict: Verdict
    summary: str = Field(min_length=1, max_length=SUMMARY_CHARACTERS, description="what was checked, with figures")
    figures: dict[str, JsonValue] = {}
    findings: tuple[str, ...] = Field(default=(), max_length=MOST_FINDINGS, description="what speaks against it")
    tail: str = Field(default="", max_length=TAIL_CHARACTERS, description="the last that its program said")

    @classmethod
    def of(
        cls,
        verdict: Verdict,
        summary: str,
        *,
        figures: dict[str, JsonValue] | None = None,
        findings: tuple[str, ...] | list[str] = (),
        tail: str = "",
    ) -> Self:
        """As `StageFound(…)`, cut to its bounds: the beginning of a sentence, the end of an output."""
        kept = [short(each, FINDING_CHARACTERS) for each in findings[:MOST_FINDINGS]]
        if len(findings) > MOST_FINDINGS:
            kept[-1] = f"and {len(findings) - MOST_FINDINGS + 1} more"
        return cls(
            verdict=verdict,
            summary=short(summary, SUMMARY_CHARACTERS),
            figures=figures or {},
            findings=tuple(kept),
            tail=printable(tail)[-TAIL_CHARACTERS:],
        )


def printable(text: str) -> str:
    """*text* without control characters: what a terminal would obey, and what PostgreSQL cannot keep (NUL)."""
    return _CONTROL.sub("", text)


def short(text: str, characters: int) -> str:
    """At most so many of *text*'s characters, on one line; that some are missing is seen."""
    line = " ".join(printable(text).split()) or "(nothing said)"
    return line if len(line) <= characters else f"{line[: characters - 1]}…"
