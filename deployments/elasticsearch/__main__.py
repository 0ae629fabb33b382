"""Render the search cluster's files from `search.toml`: `python -m deployments.elasticsearch render [--check]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from steward.errors import StewardError
from steward.search.description import load_description
from steward.search.rendering import render

HERE = Path(__file__).parent


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 rendered or up to date, 1 `--check` found a difference, 2 the description is unusable."""
    parser = argparse.ArgumentParser(prog="python -m deployments.elasticsearch", description=__doc__)
    parser.add_argument("command", choices=["render"])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if a file differs or is left over")
    parser.add_argument("--folder", type=Path, default=HERE, help="where search.toml is and the files go")
    options = parser.parse_args(arguments)
    try:
        files = render(load_description(options.folder / "search.toml"))
    except StewardError as error:
        print(error, file=sys.stderr)
        return 2
    return check(options.folder, files) if options.check else write(options.folder, files)


def write(folder: Path, files: dict[str, str]) -> int:
    """Write what differs, remove what an earlier description left over."""
    for path in left_over(folder, files):
        path.unlink()
        print(f"removed {path.relative_to(folder)}")
    for name in differing(folder, files):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(files[name])
        print(f"wrote {name}")
    return 0


def check(folder: Path, files: dict[str, str]) -> int:
    """Name every file that is not what the description renders."""
    faults = [f"{name} is not what search.toml renders" for name in differing(folder, files)]
    faults += [
        f"{path.relative_to(folder)} is left over: search.toml does not render it" for path in left_over(folder, files)
    ]
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        print("HINT: python -m deployments.elasticsearch render", file=sys.stderr)
    return 1 if faults else 0


def differing(folder: Path, files: dict[str, str]) -> list[str]:
    return [
        name for name, text in files.items() if not (folder / name).is_file() or (folder / name).read_text() != text
    ]


def left_over(folder: Path, files: dict[str, str]) -> list[Path]:
    """Files of nodes that are no longer described; the rest of the folder may hold what people put there."""
    return [
        path
        for path in sorted((folder / "nodes").rglob("*"))
        if path.is_file() and str(path.relative_to(folder)) not in files
    ]


if __name__ == "__main__":
    sys.exit(main())
