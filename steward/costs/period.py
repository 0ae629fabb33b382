"""The days that a statement is of."""

from __future__ import annotations

import calendar
import datetime as dt
import re
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator

from steward.errors import BadInput


class PeriodInvalid(BadInput):
    """It is no period of whole days."""


class Period(BaseModel):
    """Whole UTC days, the last one included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first: dt.date
    last: dt.date

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.last < self.first:
            msg = f"a period from {self.first} to {self.last} has no day"
            raise ValueError(msg)
        return self

    @classmethod
    def of_month(cls, month: str) -> Self:
        """Of `YYYY-MM`. Raises PeriodInvalid."""
        if not re.fullmatch(r"[1-9]\d{3}-(0[1-9]|1[0-2])", month):
            raise PeriodInvalid(f"{month[:20]!r} is no month", hint="write it as 2026-10")
        first = dt.date.fromisoformat(f"{month}-01")
        return cls(first=first, last=first.replace(day=days_of(first)))

    @property
    def month(self) -> str | None:
        """`YYYY-MM`, where it is just one."""
        whole = self.first.day == 1 and self.last == self.first.replace(day=days_of(self.first))
        return f"{self.first:%Y-%m}" if whole else None

    @property
    def days(self) -> tuple[dt.date, ...]:
        return tuple(self.first + dt.timedelta(days=n) for n in range((self.last - self.first).days + 1))

    def __str__(self) -> str:
        return self.month or (str(self.first) if self.first == self.last else f"{self.first} to {self.last}")


def days_of(month: dt.date) -> int:
    """How many the month has in which the day is."""
    return calendar.monthrange(month.year, month.month)[1]
