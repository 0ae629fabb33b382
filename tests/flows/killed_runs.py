"""Runs of a flow in a process of their own, which is killed at a step: before its effect, or between effect and record; or
before a call within one.

From a server of forks that has imported the flows already: a process begins in a fraction of a second.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple

from prefect import tags

from replica import inventory
from replica.server import Place
from steward.operations import steps
from tests.flows.prefect_server import recording_in

_PATIENCE_SECONDS = 60
_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    [
        "flows.backup_keyring",
        "flows.cost_reconciliation",
        "flows.limit_drift",
        "flows.production_rollout",
        "flows.reconcile_days",
        "flows.reconcile_webhooks",
        "flows.release_candidate",
        "flows.restore_from_offsite",
        "flows.roll_back_now",
        "flows.rotate_provider_keys",
        "flows.seal_ai_attempts",
        "flows.shred_tenant",
        # Imported where it is used, which would be in each of them.
        "securesystemslib.dsse",
        "tests.flows.killed_runs",
    ]
)


class Death(NamedTuple):
    """When a process dies: `before` a step's effect, or `after` it and before that is recorded; or before a `call`."""

    at: Literal["before", "after", "call"]
    step: str
    """Or the call: `module:Class.method`, `module:function`; with `#3`, the third one."""


def run_killed(
    place: Place,
    settings_file: Path,
    flow: str,
    request: dict[str, Any],
    death: Death,
    *,
    period: str = "",
    temporary: Path | None = None,
) -> None:
    """Run *flow* (`module.name`) until it is killed by SIGKILL.

    Args:
        period: Of a flow that has none of its own.
        temporary: Where its temporary files go.
    """
    process = _forks.Process(
        target=_run, args=(place, str(settings_file), flow, request, death, temporary, *filter(None, [period]))
    )
    process.start()
    process.join(_PATIENCE_SECONDS)
    if process.is_alive():
        process.kill()
    assert process.exitcode == -signal.SIGKILL, f"{flow} ended with {process.exitcode}, not killed {death}"


def _run(  # noqa: PLR0917  as above
    place: Place,
    settings_file: str,
    flow: str,
    request: dict[str, Any],
    death: Death,
    temporary: Path | None,
    *periods: str,
) -> None:
    os.environ |= inventory.environment(place) | {"STEWARD_SETTINGS": settings_file}
    if temporary:
        tempfile.tempdir = str(temporary)
    plant(death)
    module, _, name = flow.rpartition(".")
    with recording_in(place), tags(*(f"period:{period}" for period in periods)):
        getattr(import_module(module), name)(request)


def plant(death: Death) -> None:
    """Let this process die there."""
    if death.at == "call":
        _plant_at_call(*death.step.split(":"))
    else:
        _plant("_act" if death.at == "before" else "_record", death.step)


def _plant(name: str, step: str) -> None:
    """Let the process die when the ledger calls *name* for *step*."""
    original: Callable[..., Any] = getattr(steps, name)

    def dying(held: Any, at: Any, *rest: Any, **values: Any) -> Any:
        if (at["name"] if name == "_record" else at.name) == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(held, at, *rest, **values)

    setattr(steps, name, dying)


def _plant_at_call(module: str, path: str) -> None:
    path, _, number = path.partition("#")
    owner, _, name = path.rpartition(".")
    at = import_module(module)
    holder, left = getattr(at, owner) if owner else at, itertools.count(1)
    original: Callable[..., Any] = getattr(holder, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        if next(left) == int(number or 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(holder, name, dying)
