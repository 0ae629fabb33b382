"""Reading dials, and what is wrong with them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

VARIANTS = ("off", "on")


class WrongDials(ValueError):
    """The file says something else than dials."""


def read(path: Path) -> dict[str, Any]:
    """The dials in *path*. Raises WrongDials."""
    told = tomllib.loads(path.read_text())
    for variant in VARIANTS:
        erring = told.get(variant, {}).get("erring_percent")
        if not isinstance(erring, float) or not 0 <= erring <= 100:  # noqa: PLR2004
            msg = f"{variant}.erring_percent: expected a number from 0 to 100"
            raise WrongDials(msg)
    return told


def share_of_failures(dials: dict[str, Any], exposed_percent: float) -> float:
    """Of all searches, with so many users exposed to what is new."""
    on, off = dials["on"]["erring_percent"], dials["off"]["erring_percent"]
    return (exposed_percent * on + (100 - exposed_percent) * off) / 10_000
