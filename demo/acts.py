"""What every demo does on its stage, in the ways of an operator: migrate, deploy, run a deployment, read its certificate."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from prefect.client.schemas.objects import FlowRun

from demo import runs
from demo.stage import AUTH_STRING, Stage
from steward.errors import StewardError
from steward.verdicts import Verdict

#: Seconds a run may take before the demo gives up on it; here a night takes about one minute.
PATIENCE = 1800
#: A run's state where its operation was VERIFIED before it.
ALREADY_DONE = "AlreadyDone"


class RunFailed(StewardError):
    """A run that the demo builds on did not do its part."""

    def __init__(self, run: FlowRun, lack: str) -> None:
        said = (run.state.message if run.state else None) or "no message"
        super().__init__(
            f"run {run.name} ended {run.state_name} {lack}: {said[:500]}", hint="read its logs in the Prefect UI"
        )


def prepare(stage: Stage) -> None:
    """Databases and deployments as this version has them; on a platform that has them, nothing changes."""
    with timed("databases migrated"):
        stage.shell.run("migrate", sys.executable, "-m", "steward", "migrate")
    with timed("flows deployed"):
        stage.shell.run("deploy", sys.executable, "-m", "deployments.prefect", "deploy")


def run(stage: Stage, deployment: str, parameters: dict[str, Any], *, must_complete: bool = True) -> FlowRun:
    """A run of *deployment* through the worker, its steps shown as they end."""
    with stage.prefect() as client:
        started = runs.start(client, deployment, parameters)
        say(f"{deployment} runs as {started.name}")
        ended = runs.follow(client, started.id, say, PATIENCE)
    if must_complete and not (ended.state and ended.state.is_completed()):
        raise RunFailed(ended, "and had to complete")
    return ended


def read_certificate(stage: Stage, run: FlowRun, key: str) -> str:
    """The certificate that *run* left under *key* in Prefect; RunFailed when it left none.

    What was proved before, tonight or this month, is not done twice: then it is the newest certificate under *key*.
    """
    is_done = run.state_name == ALREADY_DONE
    if is_done:
        say(
            "it was proved before, and nothing is done twice (`make clean` lets all begin anew); the newest certificate:"
        )
    with stage.prefect() as client:
        found = runs.artifact(client, key, None if is_done else run.id)
    if found is None:
        raise RunFailed(run, "without a certificate")
    return found


def verdict_in(certificate: str) -> Verdict:
    """What its line `verdict: …` says; UNKNOWN when there is no such line."""
    said = [line.removeprefix("verdict: ").strip() for line in certificate.splitlines() if line.startswith("verdict: ")]
    return Verdict(said[0]) if len(said) == 1 and said[0] in set(Verdict) else Verdict.UNKNOWN


def closing(stage: Stage, certificate: str) -> str:
    """The certificate, and in three lines where to go on. All in the last 40 lines of output."""
    return "\n".join(
        [
            certificate.strip(),
            "",
            f"Prefect UI: {stage.ui_url} (log in with {AUTH_STRING} of {stage.environment_file})",
            "to stop: make down; to remove its state too: make clean",
        ]
    )


@contextmanager
def timed(what: str) -> Generator[None]:
    """Say *what* and how long it took, once the block succeeded."""
    started = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - started:.1f} s")


def say(line: str) -> None:
    """A line of progress, out at once even into a pipe."""
    print(line, flush=True)
