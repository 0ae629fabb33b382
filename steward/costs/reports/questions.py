"""What is asked of a provider about a day: its costs, and its usage from the hour before it to the hour after.

By the hour, or by the minute; and by every dimension that the ledger tells apart. Sources: https://platform.openai.com/docs/api-reference/usage and
https://platform.claude.com/docs/en/api/admin/usage_report.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import NamedTuple

from steward.costs.cells import DAY, HOUR, MINUTE
from steward.costs.reports import anthropic_reports, openai_reports

#: By a bucket's seconds: what both providers call it, and the most of them that they give in a page.
WIDTHS = {DAY: ("1d", 31), HOUR: ("1h", 168), MINUTE: ("1m", 1440)}


class Question(NamedTuple):
    """A report of some buckets."""

    report: str
    path: str
    query: Mapping[str, str | int | list[str]]
    begins: range
    """When the buckets begin that the answer must have, in Unix time."""


def begin_of(day: dt.date) -> int:
    """In Unix time."""
    return int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp())


def usage_of(day: dt.date, bucket: int) -> range:
    """When the buckets of its usage begin, in Unix time; the hour before it and the hour after are among them."""
    begin = begin_of(day)
    return range(begin - HOUR, begin + DAY + HOUR, bucket)


def costs_of(day: dt.date) -> range:
    """When the one bucket of its costs begins."""
    return range(begin_of(day), begin_of(day) + DAY, DAY)


def questions(provider: str, day: dt.date, bucket: int = HOUR) -> tuple[Question, ...]:
    """All that makes a bill of the day; *bucket*: the seconds by which its usage is asked for."""
    return _openai(day, bucket) if provider == "openai" else _anthropic(day, bucket)


def _openai(day: dt.date, bucket: int) -> tuple[Question, ...]:
    grouped = {
        openai_reports.COSTS: ["project_id", "line_item", "api_key_id"],
        openai_reports.COMPLETIONS: ["project_id", "api_key_id", "model", "service_tier", "batch"],
        openai_reports.EMBEDDINGS: ["project_id", "api_key_id", "model"],
    }

    def asked(report: str) -> Question:
        begins = costs_of(day) if report == openai_reports.COSTS else usage_of(day, bucket)
        span = {"start_time": begins.start, "end_time": begins.stop}
        return Question(report, f"/v1/organization/{report}", {**span, **_buckets(begins, grouped[report])}, begins)

    return tuple(map(asked, grouped))


def _anthropic(day: dt.date, bucket: int) -> tuple[Question, ...]:
    grouped = {
        anthropic_reports.COSTS: ["workspace_id", "description"],
        anthropic_reports.USAGE: ["workspace_id", "api_key_id", "model", "service_tier", "context_window"],
    }

    def asked(report: str) -> Question:
        begins = costs_of(day) if report == anthropic_reports.COSTS else usage_of(day, bucket)
        span = {"starting_at": _moment(begins.start), "ending_at": _moment(begins.stop)}
        return Question(report, f"/v1/organizations/{report}", {**span, **_buckets(begins, grouped[report])}, begins)

    return tuple(map(asked, grouped))


def _buckets(begins: range, groups: list[str]) -> dict[str, str | int | list[str]]:
    width, most = WIDTHS[begins.step]
    return {"bucket_width": width, "limit": most, "group_by[]": groups}


def _moment(at: int) -> str:
    return dt.datetime.fromtimestamp(at, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
