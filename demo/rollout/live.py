"""The users of the shop, as a process of their own: what they count is nobody else's word."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from demo.rollout.asked import ENVIRONMENT
from demo.stage import Stage
from steward.errors import StewardError

#: They go home by themselves after this time, whatever becomes of the demo.
MOST_SECONDS = 1800
_LEAVING_SECONDS = 60


class UsersSilent(StewardError):
    """They ended without telling what they saw."""


@dataclass(frozen=True)
class Users:
    """Who come while the block lasts."""

    process: subprocess.Popen[str] = field(repr=False)
    log: Path

    def go_home(self) -> dict[str, Any]:
        """What all of them saw, once the last has left. Raises UsersSilent."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(_LEAVING_SECONDS)
        last = (self.log.read_text().splitlines() or [""])[-1]
        try:
            return dict(json.loads(last))
        except ValueError:
            raise UsersSilent(f"the users' last line is {last[:200]!r}, no report", hint=f"read {self.log}") from None


@contextmanager
def live_users(stage: Stage, rate: float, seed: int) -> Generator[Users]:
    """*rate* sessions begin in a second, at the load balancer."""
    stage.shell.log("users").unlink(missing_ok=True)
    url = stage.settings.balancer(ENVIRONMENT).url
    command = [sys.executable, "-m", "demo.shop.users", "--url", url, "--rate", f"{rate:g}"]
    command += ["--seconds", str(MOST_SECONDS), "--seed", str(seed)]
    process = stage.shell.detached("users", *command)
    try:
        yield Users(process, stage.shell.log("users"))
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait(_LEAVING_SECONDS)
