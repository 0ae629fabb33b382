"""Releases of the shop, each a file: what it does to the users who get what is new in it, and to the others."""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from steward.errors import BadInput

FOLDER = Path(__file__).parent
ON, OFF = "on", "off"
SEARCH = "new-search"

_NAME = re.compile("[a-z0-9][a-z0-9.-]{0,63}")


#: As much as a release's dials may take.
MOST_BYTES = 65_536


class NoSuchRelease(BadInput):
    """Nobody built it."""


class OtherRelease(BadInput):
    """A release of that name is there, and it is another one."""


class NoRelease(BadInput):
    """What was given is none."""


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


def names(taken: Path | None = None) -> list[str]:
    """All that were built: those packaged with the shop, and those that its host has *taken*."""
    found = {path.stem for folder in _folders(taken) for path in folder.glob("*.toml")}
    return sorted(name for name in found if _NAME.fullmatch(name))


def read(name: str, taken: Path | None = None) -> Release:
    """The release called *name*. Raises NoSuchRelease, which names the ones there are; BadInput where its file is unusable."""
    path = _path(name, taken)
    if path is None:
        raise NoSuchRelease(f"unknown release {name[:64]!r}", hint=f"known: {', '.join(names(taken))}")
    return _parsed(name, path.read_bytes())


def take(name: str, content: bytes, taken: Path) -> bool:
    """Keep *content* in *taken* as the release called *name*; False: it is kept already.

    Raises NoRelease where the shop could not read it or the name is none, OtherRelease where the name is taken.
    """
    if not _NAME.fullmatch(name):
        raise NoRelease(f"{name[:64]!r} is no name of a release", hint=f"expected {_NAME.pattern}")
    if len(content) > MOST_BYTES:
        raise NoRelease(f"release {name} has {len(content):,} bytes", hint=f"{MOST_BYTES:,} are enough for dials")
    _parsed(name, content)
    if not _path(name, taken) and _kept(taken / f"{name}.toml", content):
        return True
    path = _path(name, taken)
    if path and path.read_bytes() == content:
        return False
    raise OtherRelease(f"there is another release {name}", hint="a release keeps its name: give this one its own")


def _kept(path: Path, content: bytes) -> bool:
    """Whole, or not at all; False: somebody was there first."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".new") as beside:
        beside.write(content)
        beside.flush()
        os.fsync(beside.fileno())
        try:
            os.link(beside.name, path)
        except FileExistsError:
            return False
    return True


def _path(name: str, taken: Path | None) -> Path | None:
    # The packaged ones first: what was taken hides none of them.
    paths = (folder / f"{name}.toml" for folder in _folders(taken)) if _NAME.fullmatch(name) else ()
    return next((path for path in paths if path.is_file()), None)


def _folders(taken: Path | None) -> list[Path]:
    return [FOLDER, *([taken] if taken else [])]


def _parsed(name: str, content: bytes) -> Release:
    try:
        return Release.model_validate(tomllib.loads(content.decode()))
    except (ValidationError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        told = error.errors() if isinstance(error, ValidationError) else []
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in told) or str(error)
        raise NoRelease(f"release {name} cannot be read: {faults}", hint="see demo/shop/releases/good.toml") from None
