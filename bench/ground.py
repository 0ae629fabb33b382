"""A replica of its own for each bench: made, used, stopped and removed, whatever replica is up beside it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from replica import inventory, start, state, stop
from replica.servers import SERVERS
from steward.settings import Settings, load


@dataclass(frozen=True)
class Ground:
    """Real servers, and how to reach them."""

    settings: Settings
    environment: dict[str, str] = field(repr=False)
    """For processes: STEWARD_SETTINGS, PREFECT_API_URL and its password."""
    logs: Path


@contextmanager
def ground(only: Sequence[str] = ()) -> Generator[Ground]:
    """The servers named in *only* (all where it is empty) with what they need, on free ports."""
    # Not below a home folder: PostgreSQL, which refuses to run as root, must be able to pass through.
    folder = Path(tempfile.mkdtemp(prefix="steward-bench-"))
    folder.chmod(0o711)
    place = folder / "replica"
    # The replica's nodes leave the second compiler out, for starts of seconds. Production's have it, and so has whoever
    # is measured here: the proof, its rival and its floor alike.
    os.environ["ES_JAVA_OPTS"] = "-XX:TieredStopAtLevel=4"
    try:
        at = start.up(place, SERVERS, only, say=progress)
        yield Ground(load(inventory.settings_file(at)), inventory.environment(at), place / "logs")
    finally:
        if (place / state.MARKER).exists():
            stop.down(place, SERVERS, [], say=lambda _: None)
        shutil.rmtree(folder)


def progress(line: str) -> None:
    """To standard error: standard output holds figures, its last line the JSON."""
    print(line, file=sys.stderr, flush=True)
