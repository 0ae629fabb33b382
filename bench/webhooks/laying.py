"""A receiver and a dispatcher of the bench's own, by rules of its own, over a replica's servers: to be killed at any time."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import tomli_w
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import WorkPoolCreate

from bench.ground import Ground
from bench.webhooks.deliveries import STARTS
from replica import ports
from steward.clients.postgres import connect
from steward.errors import StewardError
from steward.settings import Settings
from steward.settings.webhooks import Webhooks
from steward.webhooks.rules import FORMAT

FLOW, IDLE = "bench-webhooks", "idle"
ROLLOUT = "production-rollout/production-rollout"
_UP_SECONDS = 60.0


class DidNotServe(StewardError):
    """A receiver or a dispatcher that was started is not well: there is nothing to measure."""


class Service:
    """`python -m services.webhooks …`, on a port that it keeps."""

    def __init__(self, name: str, arguments: list[str], port: int, environment: Mapping[str, str], log: Path) -> None:
        self.name, self.port = name, port
        self._command = [sys.executable, "-m", "services.webhooks", *arguments, "--port", str(port)]
        self._environment, self._log = {**os.environ, **environment}, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Until it says that it is well. Raises DidNotServe."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        until = time.monotonic() + _UP_SECONDS
        while not self._is_well():
            if self._process.poll() is not None or time.monotonic() > until:
                raise DidNotServe(f"the {self.name} is not well", hint=self._log.read_text(errors="replace")[-800:])
            time.sleep(0.05)

    def kill(self) -> None:
        """SIGKILL. Harmless where it does not run."""
        process, self._process = self._process, None
        if process:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def _is_well(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=5, trust_env=False).is_success
        except httpx.HTTPError:
            return False


@dataclass(frozen=True)
class Served:
    """What deliveries are sent to."""

    at: Ground
    settings: Settings
    receiver: Service
    dispatcher: Service
    secret: str = field(repr=False)

    @property
    def state(self) -> Path:
        """Of the replica."""
        return self.at.logs.parent


@contextmanager
def serving(at: Ground, folder: Path, lanes: int) -> Generator[Served]:
    """Both at work."""
    secret, listened = secrets.token_hex(32), ports.choose(("receiver", "dispatcher"), {})
    file = folder / "settings.toml"
    settings = _settings(at, folder, secret)
    file.touch(mode=0o600)
    file.write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))
    environment = {**at.environment, "STEWARD_SETTINGS": str(file)}
    receiver = Service("receiver", ["serve"], listened["receiver"], environment, folder / "receiver.log")
    work = ["dispatch", "--lanes", str(lanes)]
    dispatcher = Service("dispatcher", work, listened["dispatcher"], environment, folder / "dispatcher.log")
    with ExitStack() as ending:
        for each in (receiver, dispatcher):
            ending.callback(each.kill)
            each.start()
        yield Served(at, settings, receiver, dispatcher, secret)


def empty_inbox(settings: Settings) -> None:
    """What one part has left over is no other's work."""
    with connect(settings) as db:
        db.execute("TRUNCATE steward.webhook_starts, steward.webhook_deliveries")


def idle_deployment(client: SyncPrefectClient, name: str = IDLE) -> str:
    """The id of FLOW/*name*, in a pool without workers: its runs stay SCHEDULED, to be counted."""
    client.create_work_pool(WorkPoolCreate(name=name, type="process"))
    made = client.create_deployment(
        flow_id=client.create_flow_from_name(FLOW),
        name=name,
        entrypoint="bench.webhooks.laying.nothing",
        work_pool_name=name,
        enforce_parameter_schema=False,
    )
    return str(made)


def _settings(at: Ground, folder: Path, secret: str) -> Settings:
    signed, rules = folder / "secret", folder / "rules.toml"
    signed.touch(mode=0o600)
    signed.write_text(secret)
    rules.write_text(tomli_w.dumps({"format": FORMAT, "rule": [_rollout(), *map(_idle, _WHERE)]}))
    source = {"kind": "github", "secrets": [f"file:{signed}"]}
    told = {"url": "http://127.0.0.1:1", "rules": str(rules), "sources": {"github": source}}
    return at.settings.model_copy(update={"webhooks": Webhooks.model_validate(told)})


_WHERE = {
    "deployment": ("deployment.environment", "deployment.id"),
    "deployment_status": ("deployment.environment", "deployment_status.id"),
    "workflow_run": ("workflow_run.head_branch", "workflow_run.id"),
}


def _idle(event: str) -> dict[str, Any]:
    where, number = _WHERE[event]
    return {
        "name": event.replace("_", "-"),
        "source": "github",
        "event": event,
        "when": {where: STARTS},
        "deployment": f"{FLOW}/{IDLE}",
        "parameters": {"event": f"{event}/{{{number}}}"},
    }


def _rollout() -> dict[str, Any]:
    """As shipped."""
    asked = {
        "release": "{deployment.payload.release}",
        "flag": "{deployment.payload.flag}",
        "environment": "{deployment.environment}",
        "deployment": "{deployment.id}",
        "because": "deployment {deployment.id} by {deployment.creator.login|sender.login}",
    }
    return {
        "name": "deploy",
        "source": "github",
        "event": "deployment",
        "when": {"action": "created", "deployment.task": "deploy", "deployment.environment": "production"},
        "deployment": ROLLOUT,
        "parameters": {"request": asked},
    }
