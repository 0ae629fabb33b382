"""What OpenAI and Anthropic tell of their limits in the headers of each answer.

OpenAI: `x-ratelimit-{limit,remaining}-{requests,tokens}`. Anthropic: `anthropic-ratelimit-{requests,tokens,
input-tokens,output-tokens}-{limit,remaining}`. Both: `retry-after`; some answers `retry-after-ms`. A header that cannot
be read is as good as none: it never fails a request that worked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_NUMBER = re.compile("[0-9]{1,12}")
_SECONDS = re.compile(r"[0-9]{1,12}(\.[0-9]{1,9})?")
#: Anthropic rounds what remains of tokens to thousands, so half of one more may be there.
_ROUNDED_BY = 500


@dataclass(frozen=True, slots=True)
class Seen:
    """One limit, and what remains of it, as a provider counts. None: not told."""

    limit: int | None = None
    remaining: int | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """All that one answer told. `age_seconds`: since its request was sent, for the answer tells of a moment since then."""

    requests: Seen = Seen()
    input_tokens: Seen = Seen()
    output_tokens: Seen = Seen()
    tokens: Seen = Seen()
    age_seconds: float = 0.0

    @property
    def numbers(self) -> tuple[int, ...]:
        """Limits, then what remains, in the ring's order; -1: not told."""
        seen = (self.requests, self.input_tokens, self.output_tokens, self.tokens)
        told = [*(each.limit for each in seen), *(each.remaining for each in seen)]
        return tuple(-1 if each is None else each for each in told)


def observed(headers: Mapping[str, str], *, age_seconds: float = 0.0) -> Observed | None:
    """What *headers* tell, or None if nothing. *headers* are found in lower case, as in httpx, or in a dict of such names."""
    openai = Observed(
        requests=_seen(headers, "x-ratelimit-{}-requests"),
        tokens=_seen(headers, "x-ratelimit-{}-tokens"),
        age_seconds=age_seconds,
    )
    anthropic = Observed(
        requests=_seen(headers, "anthropic-ratelimit-requests-{}"),
        input_tokens=_seen(headers, "anthropic-ratelimit-input-tokens-{}", _ROUNDED_BY),
        output_tokens=_seen(headers, "anthropic-ratelimit-output-tokens-{}", _ROUNDED_BY),
        # `anthropic-ratelimit-tokens-…` repeats whichever of the two is the tighter one: it limits nothing more.
        age_seconds=age_seconds,
    )
    return next((each for each in (anthropic, openai) if any(number >= 0 for number in each.numbers)), None)


def retry_after_seconds(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """How long the provider wants to be left alone, or None where it does not say (RFC 9110: seconds, or a date)."""
    if (milliseconds := headers.get("retry-after-ms", "").strip()) and _SECONDS.fullmatch(milliseconds):
        return float(milliseconds) / 1000
    told = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(told):
        return float(told)
    return _until(told, now or datetime.now(UTC)) if told else None


def _until(date: str, now: datetime) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def _seen(headers: Mapping[str, str], name: str, rounded_by: int = 0) -> Seen:
    limit = _number(headers.get(name.format("limit")))
    remaining = _number(headers.get(name.format("remaining")))
    if limit is None or limit == 0:
        # Who has no limit at all has no access, and is told so in other ways.
        return Seen()
    return Seen(limit, None if remaining is None else min(limit, remaining + rounded_by))


def _number(told: str | None) -> int | None:
    stripped = (told or "").strip()
    return int(stripped) if _NUMBER.fullmatch(stripped) else None
