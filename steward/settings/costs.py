"""What providers' bills are held against."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from steward.settings.base import Frozen


class Costs(Frozen):
    """What providers' bills are held against, beside the ledger: files, each of which may be absent."""

    prices: Path | None = Field(
        default=None, description="TOML file of prices that go before the public list's; absent: that list alone"
    )
    budgets: Path | None = Field(
        default=None, description="TOML file of budgets of a month; absent: nobody is told and nothing stops"
    )
    terms: Path | None = Field(
        default=None, description="TOML file of what was agreed with each account's provider; absent: nothing was"
    )
