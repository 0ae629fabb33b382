"""What the receivers got, and what is to befall the next who send."""

from __future__ import annotations

import json
import threading
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

LOOPBACK = "127.0.0.1"


class Fault(NamedTuple):
    """What befalls a coming request. `takes`: the message arrives, and only the answer is bad."""

    status: int
    takes: bool = False
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Received:
    """What arrived, in order; in a file too, where one is named."""

    file: Path | None = None
    slack: list[str] = field(default_factory=list[str])
    statuses: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    mails: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    faults: deque[Fault] = field(default_factory=deque[Fault])
    """Of the next requests to the web server."""
    mail_faults: deque[str] = field(default_factory=deque[str])
    """What the mail server says to the next messages."""
    requests: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, kind: str, said: object) -> None:
        """Write it down. Call it under the lock."""
        if self.file:
            with self.file.open("a") as file:
                file.write(json.dumps({"kind": kind, "said": said}) + "\n")
