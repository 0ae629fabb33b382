"""The committed list of jars: where each goes in the home, its Maven coordinate, its SHA-256.

One jar a line, `FOLDER GROUP:ARTIFACT:VERSION sha256:HEX`, sorted, so that a change of version reads as a diff. It names
no registry: the resolver's own default decides where a jar comes from, the hash decides whether it is the right one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from steward.errors import StewardError

LOCK = Path(__file__).with_name("jars.lock")

_HEADER = (
    "# Every jar of the Elasticsearch home. Made by `python -m replica.elasticsearch lock`; edit nothing by hand.\n"
)
_LINE = re.compile(
    r"(?P<folder>lib|modules/[a-z0-9-]+) (?P<coordinate>[\w.-]+:[\w.-]+:[\w.-]+) sha256:(?P<sha256>[0-9a-f]{64})"
)


class LockUnreadable(StewardError):
    """The list of jars cannot be relied on: nothing is placed."""


@dataclass(frozen=True, order=True)
class LockedJar:
    """One jar of the home."""

    folder: str
    """Below the home: `lib` or `modules/<name>`."""
    coordinate: str
    """`group:artifact:version`; none has a classifier."""
    sha256: str

    @property
    def file_name(self) -> str:
        """`artifact-version.jar`, as Maven repositories call it."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"


def parse(text: str) -> list[LockedJar]:
    """The jars that *text* lists. LockUnreadable names the line that is none, or the jar that is there twice."""
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    jars = [_jar(line) for line in lines]
    placed = [(jar.folder, jar.file_name) for jar in jars]
    if twice := sorted({f"{folder}/{name}" for folder, name in placed if placed.count((folder, name)) > 1}):
        raise LockUnreadable(f"{', '.join(twice)} is locked twice, expected once", hint="make the lock anew")
    if not jars:
        raise LockUnreadable("the lock lists no jar", hint="take jars.lock from version control")
    return jars


def render(jars: Iterable[LockedJar]) -> str:
    """The lock's text: `parse(render(jars)) == sorted(jars)`."""
    return _HEADER + "".join(f"{jar.folder} {jar.coordinate} sha256:{jar.sha256}\n" for jar in sorted(jars))


def digest(jars: Iterable[LockedJar]) -> str:
    """What a home is named for: another list of jars is another home."""
    return hashlib.sha256(render(jars).encode()).hexdigest()[:12]


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _jar(line: str) -> LockedJar:
    if not (match := _LINE.fullmatch(line)):
        raise LockUnreadable(
            f"not a line of the lock: {line!r}; expected FOLDER GROUP:ARTIFACT:VERSION sha256:HEX",
            hint="make the lock anew, or take jars.lock from version control",
        )
    return LockedJar(**match.groupdict())
