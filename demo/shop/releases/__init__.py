"""Releases of the shop, each a file: what it does to the users who get what is new in it, and to the others."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steward.errors import BadInput

FOLDER = Path(__file__).parent
ON, OFF = "on", "off"
SEARCH = "new-search"

_NAME = re.compile("[a-z0-9][a-z0-9.-]{0,63}")


class NoSuchRelease(BadInput):
    """Nobody built it."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Dials(_Frozen):
    """How searches do for the users of one variant."""

    erring_percent: float = Field(ge=0, le=100, description="of users; whoever errs, errs at each search")
    median_ms: float = Field(ge=0, le=10_000, description="what the median user waits beside the database")
    fruitless_percent: float = Field(default=0, ge=0, le=100, description="of users; their searches find nothing")
    spread: float = Field(default=0.4, ge=0, le=2, description="of the logarithms of what users wait")


class Release(_Frozen):
    """One release."""

    description: str
    starts: bool = True
    healthy: bool = True
    flag: str = SEARCH
    """Behind which it exposes what is new in it: `on` and `off` below are this flag's."""
    seed: int = 0
    """Whose users err and wait. The same in two releases: the same users."""
    off: Dials
    on: Dials

    def dials(self, variant: str) -> Dials:
        """Of *variant*; the off one's for whatever the shop does not know."""
        return self.on if variant == ON else self.off


def names(folder: Path = FOLDER) -> list[str]:
    """All that were built."""
    return sorted(path.stem for path in folder.glob("*.toml") if _NAME.fullmatch(path.stem))


def read(name: str, folder: Path = FOLDER) -> Release:
    """The release called *name*. Raises NoSuchRelease, which names the ones there are; BadInput where its file is unusable."""
    if not _NAME.fullmatch(name) or not (path := folder / f"{name}.toml").is_file():
        raise NoSuchRelease(f"unknown release {name[:64]!r}", hint=f"known: {', '.join(names(folder))}")
    try:
        return Release.model_validate(tomllib.loads(path.read_text()))
    except (ValidationError, tomllib.TOMLDecodeError) as error:
        raise BadInput(
            f"release {name} cannot be read: {error}", hint=f"see {path.name} in demo/shop/releases"
        ) from None
