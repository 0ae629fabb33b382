"""How a bench with goals ends: its figures as the last line, each goal that was missed by name, and a status that says so."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.ground import Ground, ground, progress
from steward.errors import StewardError


def conclude(
    servers: Sequence[str],
    measure: Callable[[Ground], dict[str, Any]],
    goals: Mapping[str, float],
    least: Mapping[str, float] | None = None,
) -> int:
    """Measure on *servers* of its own. Exit code 1 where a figure could not be measured, is above its goal or below its *least*."""
    try:
        with ground(servers) as at:
            figures = measure(at)
    except StewardError as error:
        print(error, file=sys.stderr)
        return 1
    return tell(figures, goals, least)


def tell(figures: Mapping[str, Any], goals: Mapping[str, float], least: Mapping[str, float] | None = None) -> int:
    """Print the *figures* as the last line; exit code 1 where one is above its goal or below its *least*."""
    missed = [name for name, goal in goals.items() if name in figures and figures[name] > goal]
    least = least or {}
    missed += [name for name, goal in least.items() if name in figures and figures[name] < goal]
    for name in missed:
        progress(f"MISSED: {name} is {figures[name]}, goal {({**goals, **least})[name]:g}")
    print(json.dumps(figures))
    return int(bool(missed))
