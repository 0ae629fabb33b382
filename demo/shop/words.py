"""The last that a process said, free of what must not be told on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from demo.shop.settings import ShopSettings
from steward.errors import StewardError
from steward.settings import read_secret

_LINES, _BYTES, _LONGEST_LINE = 12, 16_384, 400
_GONE = "***"
#: Whatever its source: URLs with a password, and passwords that are named so.
_TOLD = re.compile(r"(?i)(?<=://)[^\s/@]+:[^\s/@]+(?=@)|(?<=password=)\S+|(?<=authorization: bearer )\S+")


def last_words(log: Path, secrets: Iterable[str]) -> list[str]:
    """At most twelve lines of *log*'s end; each of *secrets*, and what looks like one, is struck out."""
    try:
        with log.open("rb") as file:
            start = max(0, log.stat().st_size - _BYTES)
            file.seek(start)
            # A line cut in half may begin within a secret, which is then not known by what is left of it.
            if start:
                file.readline()
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    for secret in secrets:
        text = text.replace(secret, _GONE)
    lines = [line.rstrip() for line in _TOLD.sub(_GONE, text).splitlines() if line.strip()]
    return [line[:_LONGEST_LINE] for line in lines[-_LINES:]]


def secrets_of(settings: ShopSettings) -> Iterator[str]:
    """All that a process of the shop can read; one that cannot be read cannot be told, either."""
    counting = settings.flags.application if settings.flags else None
    references = [settings.database.password, settings.owner.password, settings.salt]
    for reference in references + ([counting.password] if counting else []):
        try:
            yield read_secret(reference)
        except StewardError:
            continue
