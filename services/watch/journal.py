"""The watch's log: one line an event, time first, then key=value."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime

_writing = threading.Lock()


def say(event: str, **values: object) -> None:
    """Write one line: `2026-07-31T01:30:00.123Z resumed operation=12 run=…`."""
    told = " ".join(f"{name}={_plain(value)}" for name, value in values.items() if value is not None)
    with _writing:
        print(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + f"Z {event} {told}".rstrip(), flush=True)  # noqa: T201  a process's log is its standard output


def _plain(value: object) -> str:
    text = " ".join(str(value).split())
    return text if text and not set(text) & set(' "=') else json.dumps(text, ensure_ascii=False)


class Reminder:
    """Says what lasts when it changes, and again after *every_seconds*: not each second."""

    def __init__(self, every_seconds: float) -> None:
        self._every = every_seconds
        self._said: dict[str, tuple[str, float]] = {}

    def is_news(self, subject: str, fact: str) -> bool:
        """Whether *fact* about *subject* is new, or old enough to be said again."""
        now = time.monotonic()
        before, at = self._said.get(subject, ("", 0.0))
        if fact == before and now - at < self._every:
            return False
        self._said[subject] = fact, now
        return True

    def forget(self, subject: str) -> bool:
        """Whether anything was said about *subject*, which is over now."""
        return self._said.pop(subject, None) is not None
