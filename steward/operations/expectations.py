"""What ought to happen, and when: read from a file, compared with what the ledger holds."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice, pairwise, takewhile
from pathlib import Path
from typing import Annotated, Any, Self

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from steward.errors import BadInput
from steward.settings import Settings
from steward.settings.parts import Part, has

#: How many ticks back are looked at: over a year of nights, six hours of minutes.
MOST_TICKS = 400
_PROBED_TICKS = 50
_CRON_FIELDS = 5
_ANY_DAY = datetime(2025, 1, 1, tzinfo=UTC)


def _cron(line: str) -> str:
    try:
        next(CronSim(line, _ANY_DAY))
    except (CronSimError, StopIteration) as error:
        msg = f"{line!r} is no cron line that ever comes true: {error or 'it names a day that does not exist'}"
        raise ValueError(msg) from None
    if len(line.split()) != _CRON_FIELDS:
        msg = f"{line!r} is not minute hour day month weekday"
        raise ValueError(msg)
    return line


class CatchUp(StrEnum):
    """What becomes of periods that were missed. One that is not made good is recorded as skipped."""

    SKIP = "skip"
    """None is made good."""
    LATEST = "latest"
    """The newest is; an older one that has not begun is skipped for it."""
    ALL = "all"
    """Each is, oldest first."""


class Expectation(BaseModel):
    """One recurring operation, by the identity under which the ledger knows it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1, description="the flow's name, as prefect.yaml has it")
    subject: str = ""
    resource: str = Field(min_length=1, description="as its flow claims it")
    deployment: str = Field(pattern=r"^[^/]+/[^/]+$", description="flow/deployment")
    cron: Annotated[str, AfterValidator(_cron)] = Field(description="UTC")
    period: str = Field(default="%Y-%m-%dT%H:%MZ", description="strftime format of a tick's period")
    parameters: dict[str, Any] = {}
    needs: Part | None = Field(
        default=None, description="a table of the settings; without it nothing is expected, and nothing scheduled"
    )
    grace_minutes: float = Field(default=15, ge=1, description="how late a run may begin before it counts as missed")
    catch_up: CatchUp = CatchUp.LATEST
    verified_within_hours: float | None = Field(default=None, gt=0, description="the dead man's switch; absent: none")
    event: str = Field(default="steward.operation", pattern=r"^[a-z][a-z.]*[a-z]$", description="how its events begin")

    @model_validator(mode="after")
    def _tells_ticks_apart(self) -> Self:
        ticks = islice(CronSim(self.cron, _ANY_DAY), _PROBED_TICKS)
        for one, other in pairwise(ticks):
            if self.period_of(one) == self.period_of(other):
                msg = f"period {self.period!r} gives {one} and {other} one name: an operation happens once a period"
                raise ValueError(msg)
        return self

    def __str__(self) -> str:
        return f"{self.name} {self.subject}".strip()

    @property
    def grace(self) -> timedelta:
        return timedelta(minutes=self.grace_minutes)

    def period_of(self, tick: datetime) -> str:
        """The period that begins at *tick*."""
        return tick.astimezone(UTC).strftime(self.period)

    def ticks(self, since: datetime, now: datetime) -> list[datetime]:
        """The ticks after *since* and up to *now*, oldest first; the newest MOST_TICKS of them."""
        # In reverse it gives what lies strictly before, and a tick is due in the very second it names.
        before = CronSim(self.cron, now.astimezone(UTC) + timedelta(seconds=1), reverse=True)
        return [*takewhile(lambda tick: tick > since, islice(before, MOST_TICKS))][::-1]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    operation: list[Expectation] = []

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        seen: set[tuple[str, str]] = set()
        for each in self.operation:
            if (each.name, each.subject) in seen:
                msg = f"{each} stands there twice"
                raise ValueError(msg)
            seen.add((each.name, each.subject))
        return self


def read_expectations(path: Path) -> list[Expectation]:
    """The entries of *path*. BadInput names the file and the field."""
    try:
        return _File.model_validate(tomllib.loads(path.read_text())).operation
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", hint="--expectations must name a file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not TOML: {error}", hint="mend the line it names") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise BadInput(f"{path} is not usable: {faults}", hint="see docs/watch.md") from None


def at_rest(expectations: Sequence[Expectation], settings: Settings) -> list[Expectation]:
    """Those that need a part which *settings* do not have: no run of theirs could come to anything, so none is missed."""
    return [each for each in expectations if each.needs and not has(settings, each.needs)]


@dataclass(frozen=True)
class Known:
    """What the ledger holds of one period."""

    state: str
    attempt: int
    due_at: datetime | None = None
    began_at: datetime | None = None


def plan_missed(
    expectation: Expectation, ticks: Sequence[datetime], known: Mapping[str, Known], now: datetime
) -> dict[datetime, str]:
    """The state, `due` or `skipped`, in which each missed tick enters the ledger.

    A skipped one is recorded too: silence is not a decision.
    """
    missed = [
        tick
        for tick in ticks
        if _never_begun(tick, known.get(expectation.period_of(tick))) and tick + expectation.grace <= now
    ]
    planned = {tick: _decide(expectation.catch_up, is_newest=tick == ticks[-1]) for tick in missed}
    return {
        tick: state
        for tick, state in planned.items()
        if (row := known.get(expectation.period_of(tick))) is None or row.state != state
    }


def _never_begun(tick: datetime, row: Known | None) -> bool:
    # A due operation of another moment was asked for by somebody, and is not the schedule's to skip.
    return row is None or (row.state == "due" and row.attempt == 0 and row.due_at == tick)


def _decide(catch_up: CatchUp, *, is_newest: bool) -> str:
    wanted = catch_up is CatchUp.ALL or (catch_up is CatchUp.LATEST and is_newest)
    return "due" if wanted else "skipped"
