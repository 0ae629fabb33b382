"""Processes killed, frozen, thawed: the replica's own, whole trees."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Generator
from pathlib import Path

import psutil

from replica import processes
from replica.errors import KeeperFailed
from replica.faults.model import Fault, pid_of, undo_command
from replica.supervision import Keeper, ProcessState

_GONE_SECONDS = 10


def kill(state: Path, target: str, *, restart: bool = False, alone: bool = False) -> Fault:
    """SIGKILL the tree of *target* (with *alone* its main process only, so that children are orphaned).

    The server stays down until `up`; with *restart* the supervisor starts it again at once.
    """
    pid = pid_of(state, target)
    supervised = not target.isdigit()
    victims = processes.tree(pid)[: 1 if alone else None]
    if supervised and not restart:
        # Frozen before the supervisor is told to stop it: no handler of SIGTERM gets to run before SIGKILL does.
        victims = _stop_all(pid, alone=alone)
        Keeper(state).stop(target, wait=False)
    reached = processes.send(victims, signal.SIGKILL)
    psutil.wait_procs(victims, timeout=_GONE_SECONDS)
    if supervised and not restart:
        _await_down(state, target)
    again = f"python -m replica up --state {state}" if supervised and not restart else ""
    return Fault("kill", target, {"pids": reached, "restart": restart}, again)


def freeze(state: Path, target: str) -> Fault:
    """SIGSTOP the tree of *target*: it keeps ports, connections and locks, and does nothing."""
    stopped = _stop_all(pid_of(state, target), alone=False)
    return Fault("freeze", target, {"pids": [each.pid for each in stopped]}, undo_command(state, "thaw", target))


def thaw(state: Path, target: str) -> Fault:
    """SIGCONT the tree of *target*; harmless where it is not frozen."""
    return Fault("thaw", target, {"pids": processes.send(processes.tree(pid_of(state, target)), signal.SIGCONT)})


@contextlib.contextmanager
def frozen(state: Path, target: str) -> Generator[Fault]:
    """*target* frozen for as long as the block runs."""
    fault = freeze(state, target)
    try:
        yield fault
    finally:
        thaw(state, target)


def _stop_all(pid: int, *, alone: bool) -> list[psutil.Process]:
    """Stop the tree, over again until no process was born meanwhile."""
    stopped: list[psutil.Process] = []
    while fresh := [process for process in processes.tree(pid)[: 1 if alone else None] if process not in stopped]:
        processes.send(fresh, signal.SIGSTOP)
        stopped += fresh
    return stopped


def _await_down(state: Path, target: str) -> None:
    deadline = time.monotonic() + _GONE_SECONDS
    while Keeper(state).process(target).state in {ProcessState.STOPPING, ProcessState.RUNNING, ProcessState.STARTING}:
        if time.monotonic() > deadline:
            raise KeeperFailed(f"the supervisor still has {target} after it was killed {_GONE_SECONDS} s ago")
        time.sleep(0.05)
