"""Pages of time buckets, as both providers' reports have them.

A page token names the bucket that comes next. Buckets without usage are there, empty: a reader can tell "nothing" from
"not asked".
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from replica.providers.errors import Refusal

WIDTHS = {"1m": 60, "1h": 3600, "1d": 86_400}
# (default, most) buckets a page; the same at both providers.
USAGE_LIMITS = {"1m": (60, 1440), "1h": (24, 168), "1d": (7, 31)}
Query = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Page:
    """The buckets to show, by their starts, and the token of the next page."""

    starts: Sequence[int]
    width: int
    next_page: str | None

    @property
    def start(self) -> int:
        """Of the first bucket."""
        return self.starts[0] if self.starts else 0

    @property
    def end(self) -> int:
        """After the last bucket."""
        return self.starts[-1] + self.width if self.starts else 0


def page(query: Query, start: int, end: int, limits: Mapping[str, tuple[int, int]]) -> Page:
    """The page that *query* asks for: `bucket_width`, `limit`, `page`. Buckets are snapped to UTC; *end* is exclusive."""
    name = first(query, "bucket_width") or "1d"
    if name not in limits:
        raise Refusal(400, f"bucket_width: {name[:20]!r} is not one of {', '.join(limits)}")
    width = WIDTHS[name]
    count = _count(query, *limits[name])
    begin = start // width * width
    if token := first(query, "page"):
        begin = _opened(token, begin, width)
    stop = -(-end // width) * width
    starts = list(range(begin, min(stop, begin + count * width), width))
    after = begin + count * width
    return Page(starts, width, _sealed(after) if after < stop else None)


def first(query: Query, name: str) -> str:
    """The parameter's value, or nothing."""
    return next(iter(query.get(name, [])), "")


def groups(query: Query, known: Sequence[str]) -> list[str]:
    """The dimensions asked for; Refusal 400 for one that is not *known*."""
    asked = list(query.get("group_by", []))
    for each in asked:
        if each not in known:
            raise Refusal(400, f"group_by: {each[:40]!r} is not one of {', '.join(known)}")
    return asked


def _count(query: Query, default: int, most: int) -> int:
    text = first(query, "limit") or str(default)
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise Refusal(400, f"limit: {text[:20]!r} is not from 1 to {most}")
    return int(text)


def _sealed(start: int) -> str:
    return "page_" + base64.urlsafe_b64encode(f"bucket:{start}".encode()).decode().rstrip("=")


def _opened(token: str, begin: int, width: int) -> int:
    try:
        padded = token.removeprefix("page_") + "=" * (-len(token.removeprefix("page_")) % 4)
        kind, _, text = base64.urlsafe_b64decode(padded).decode().partition(":")
        start = int(text)
    except ValueError:
        raise Refusal(400, "page: not a token of this report") from None
    if kind != "bucket" or start % width or start < begin:
        raise Refusal(400, "page: not a token of this report")
    return start
