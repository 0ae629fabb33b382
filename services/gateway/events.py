"""Server-sent events taken from a stream of bytes, each with the bytes it came in.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import re
from typing import NamedTuple

_END = re.compile(rb"\r?\n\r?\n")
#: A provider's event is some hundred bytes; a stream that never ends one is none.
MOST_BYTES = 4 * 1024 * 1024


class Event(NamedTuple):
    """One event."""

    raw: bytes
    """As it came, its empty line included: what is passed on."""
    name: str
    data: bytes


class EventTooLong(Exception):
    """No event ended within MOST_BYTES."""


class Events:
    """Fed as bytes come."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Event]:
        """Those that are whole by now. Raises EventTooLong."""
        self._rest += data
        events: list[Event] = []
        begin = 0
        for end in _END.finditer(self._rest):
            events.append(_event(self._rest[begin : end.end()]))
            begin = end.end()
        self._rest = self._rest[begin:]
        if len(self._rest) > MOST_BYTES:
            raise EventTooLong
        return events


def _event(raw: bytes) -> Event:
    name, data = "", list[bytes]()
    for line in raw.splitlines():
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.strip().decode("latin-1")
    return Event(raw, name, b"\n".join(data))
