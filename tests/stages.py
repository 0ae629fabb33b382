"""The demos' stage in the replica of a test run, prepared once: deploying takes longer than what most tests look at."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from demo.acts import prepare
from demo.stage import Stage, open_stage


@cache
def prepared(state: Path) -> Stage:
    """Migrated, and deployed by the project's own command, which reads back what it deployed."""
    stage = open_stage(state)
    prepare(stage)
    return stage
