"""`python -m replica fault …`: each prints what it did as one line of JSON, and how to undo it."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from replica import faults
from replica.faults.model import Fault

Run = Callable[[Path, argparse.Namespace], Fault]


def add(commands: Any, shared: argparse.ArgumentParser, state: Callable[[argparse.Namespace], Path]) -> None:
    """Add `fault` and its verbs to *commands*."""
    fault = commands.add_parser("fault", help="damage it on purpose", description=faults.__doc__)
    verbs = fault.add_subparsers(required=True, metavar="FAULT")
    target = argparse.ArgumentParser(add_help=False, parents=[shared])
    target.add_argument("target", metavar="TARGET", help="a server's name, or the pid of a process of the replica")
    lasting = argparse.ArgumentParser(add_help=False, parents=[target])
    lasting.add_argument(
        "--seconds", type=float, default=None, help="wait so long, then undo it (also when interrupted)"
    )

    def verb(name: str, parent: argparse.ArgumentParser, run: Run, text: str) -> argparse.ArgumentParser:
        parser = verbs.add_parser(name, parents=[parent], help=text)
        parser.set_defaults(run=lambda arguments: _perform(state(arguments), arguments, run))
        return parser

    killing = verb(
        "kill",
        target,
        lambda place, said: faults.kill(place, said.target, restart=said.restart, alone=said.alone),
        "SIGKILL; it stays down until `up`",
    )
    killing.add_argument("--restart", action="store_true", help="let the supervisor start it again at once")
    killing.add_argument("--alone", action="store_true", help="only the main process: its children are orphaned")
    verb("freeze", lasting, lambda place, said: faults.freeze(place, said.target), "SIGSTOP")
    verb("thaw", target, lambda place, said: faults.thaw(place, said.target), "SIGCONT")
    verb(
        "partition", lasting, lambda place, said: faults.partition(place, said.target), "hold all bytes of its clients"
    )
    slowing = verb(
        "slow",
        lasting,
        lambda place, said: faults.slow(place, said.target, delay_seconds=said.delay_ms / 1000),
        "delay its answers",
    )
    slowing.add_argument("--delay-ms", type=float, default=200)
    filling = verb(
        "fill",
        lasting,
        lambda place, said: faults.fill(place, said.target, limit_bytes=said.limit_bytes),
        "no file of its can grow",
    )
    filling.add_argument("--limit-bytes", type=int, default=0)
    verb("heal", target, lambda place, said: faults.heal(place, said.target), "undo all but a kill")
    harming = verb("corrupt", target, _corrupt, "damage one of its files")
    harming.add_argument("--how", choices=["flip", "truncate", "delete"], default="flip")
    harming.add_argument("--seed", type=int, default=0)
    harming.add_argument("--match", default="*", help="a pattern for the file's path below the data folder")
    harming.add_argument("--under", type=Path, default=None, help="another folder below the state folder")


def _corrupt(state: Path, said: argparse.Namespace) -> Fault:
    return faults.corrupt(state, said.target, how=said.how, seed=said.seed, match=said.match, under=said.under)


def _perform(state: Path, arguments: argparse.Namespace, run: Run) -> None:
    print(run(state, arguments).as_json(), flush=True)
    seconds: float | None = getattr(arguments, "seconds", None)
    if seconds is None:
        return
    # A fault with an end must end, whatever ends this command.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        time.sleep(seconds)
    finally:
        print(faults.heal(state, arguments.target).as_json(), flush=True)
