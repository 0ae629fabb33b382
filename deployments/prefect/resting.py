"""Schedules of what these settings have no part for: each run would only say so, hour after hour."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from pathlib import Path

from deployments.prefect.description import Deployment, Schedule
from steward.operations.expectations import Expectation, at_rest, read_expectations
from steward.settings import Settings

_EXPECTATIONS = Path(str(files("deployments"))) / "operations.toml"


def resting(settings: Settings, path: Path = _EXPECTATIONS) -> list[Expectation]:
    """What deployments/operations.toml says needs a part that *settings* do not have."""
    return at_rest(read_expectations(path), settings)


def put_to_rest(described: Iterable[Deployment], at_rest: Sequence[Expectation]) -> list[Deployment]:
    """*described*, their schedules not active where nothing is expected of them. By hand, each runs as ever."""
    due = {(each.deployment, each.cron) for each in at_rest}
    return [
        each.model_copy(update={"schedules": [_rested(each, one, due) for one in each.schedules]}) for each in described
    ]


def _rested(deployment: Deployment, schedule: Schedule, due: set[tuple[str, str]]) -> Schedule:
    is_due = (f"{deployment.name}/{deployment.name}", schedule.cron) in due
    return schedule.model_copy(update={"active": False}) if is_due else schedule


def said_of(at_rest: Sequence[Expectation]) -> str:
    """One line, for whoever wonders why nothing runs; empty: every schedule is as described."""
    named = dict.fromkeys(f"{each.name} needs {each.needs}" for each in at_rest)
    return f"schedules not active, for the settings do not have it: {'; '.join(named)}" if named else ""
