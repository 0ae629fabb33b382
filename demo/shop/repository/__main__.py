"""`python -m demo.shop.repository FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from demo.shop.repository import make


def main(arguments: list[str]) -> int:
    """0, or 2 for a folder that is there already."""
    if len(arguments) != 1 or Path(arguments[0]).exists():
        print("usage: python -m demo.shop.repository FOLDER, which is made", file=sys.stderr)
        return 2
    for name, commit in make(Path(arguments[0])).items():
        print(f"{commit}  {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
