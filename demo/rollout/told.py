"""Those who are told of the rollouts: receivers that run while the demo does, named in the settings as an operator names them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.settings_file import other_for_a_while
from demo.stage import Stage
from steward.errors import StewardError
from steward.settings import VARIABLE

_SPEAK_SECONDS = 30.0
_TARGETS = {"slack": "the webhook", "mail": "the mail server", "github": "GitHub's deployments"}


class ReceiversSilent(StewardError):
    """They did not say where they are."""


@dataclass(frozen=True)
class Receivers:
    """What they have got lies in *file*."""

    file: Path

    def lines(self) -> Iterator[str]:
        """How many got what, and each message to the webhook by its first line."""
        every = [json.loads(line) for line in self.file.read_text().splitlines()] if self.file.exists() else []
        counted = Counter(each["kind"] for each in every)
        yield ", ".join(f"{counted[kind]} to {name}" for kind, name in _TARGETS.items())
        yield from (f"  {_first_line(each['said'])}" for each in every if each["kind"] == "slack")


def _first_line(said: Any) -> str:
    return str(said).strip().splitlines()[0][:110]


@contextmanager
def receivers(stage: Stage) -> Generator[Receivers]:
    """A webhook, a mail server and GitHub's API on loopback; the settings know them until the block ends."""
    folder = stage.shell.logs.parent / "demo" / "receivers"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    got = folder / "received.jsonl"
    got.unlink(missing_ok=True)
    log = stage.shell.log("receivers")
    log.unlink(missing_ok=True)
    process = stage.shell.detached("receivers", sys.executable, "-m", "demo.receivers", str(folder))
    try:
        table = _spoken(process, log)
        with _named(Path(stage.shell.environment[VARIABLE]), table):
            yield Receivers(got)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(_SPEAK_SECONDS)


def _spoken(process: subprocess.Popen[str], log: Path) -> str:
    """The table that reaches them, once they serve. Its last line is the last target's, so it is whole when that is there."""
    until = time.monotonic() + _SPEAK_SECONDS
    while time.monotonic() < until and process.poll() is None:
        said = log.read_text()
        if "repository = " in said and said.endswith("\n"):
            return said
        time.sleep(0.1)
    raise ReceiversSilent("the receivers did not say where they are", hint=f"read {log}")


@contextmanager
def _named(settings: Path, table: str) -> Generator[None]:
    """Flows read the settings as each begins; the next `up` of the replica writes them anew."""
    before = settings.read_text()
    if "\n[notices" in before:
        raise ReceiversSilent(
            f"{settings} names receivers already, of a demo that was killed", hint="make up writes it anew"
        )
    with other_for_a_while(settings, f"{before.rstrip()}\n\n{table}"):
        yield
