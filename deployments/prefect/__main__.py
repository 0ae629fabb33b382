"""What Prefect is told (`prefect.yaml`, deployments/work_pools): `python -m deployments.prefect check | deploy | verify`.

check   everything wrong with the files, all at once; no server is asked
deploy  check, put the work pool's template and every deployment onto the server, then verify
verify  read back: the server holds what the files say, and nothing else of this project

STEWARD_SETTINGS names the platform's settings: schedules of what they have no part for are not active. `check` does without.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from deployments.prefect import checking, templates
from deployments.prefect.comparison import compare
from deployments.prefect.deploying import deploy, put_template
from deployments.prefect.description import Deployment
from deployments.prefect.faults import Fault
from deployments.prefect.held import connected, read_held
from deployments.prefect.resting import put_to_rest, resting, said_of
from steward.errors import StewardError
from steward.settings import VARIABLE, load

FILE = Path(__file__).resolve().parents[2] / "prefect.yaml"


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 all is as described, 1 it is not, 2 it could not be found out."""
    parser = argparse.ArgumentParser(
        prog="python -m deployments.prefect", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=["check", "deploy", "verify"])
    parser.add_argument("--file", type=Path, default=FILE, help="another prefect.yaml")
    options = parser.parse_args(arguments)
    described, faults = checking.check(options.file.resolve())
    faults += templates.check()
    well = f"{options.file.name}: {len(described)} deployments and their work pools are well described"
    if faults:
        return told(faults, well)
    try:
        described = as_settings_allow(described, is_needed=options.command != "check")
        if options.command == "check":
            return told([], well)
        if options.command == "deploy":
            put(options.file.resolve(), described)
        return told(
            differences(described), f"the server holds {len(described)} deployments as {options.file.name} says"
        )
    except StewardError as error:
        print(error, file=sys.stderr)
        return 2


def as_settings_allow(described: list[Deployment], *, is_needed: bool) -> list[Deployment]:
    """Schedules of parts that the settings do not have put to rest, and said so. BadInput where there are no settings."""
    if not (is_needed or os.environ.get(VARIABLE)):
        return described
    at_rest = resting(load())
    if at_rest:
        print(said_of(at_rest))
    return put_to_rest(described, at_rest)


def put(path: Path, described: Iterable[Deployment] = ()) -> None:
    """The template first: a deployment's job variables are checked against it."""
    with connected() as client:
        put_template(client)
    deploy(path, described)


def differences(described: Sequence[Deployment]) -> list[Fault]:
    """What the server holds otherwise than *described*."""
    with connected() as client:
        held = read_held(client, described)
    return compare(described, held, templates.load(held.pool.type))


def told(faults: Sequence[Fault], well: str) -> int:
    """Say every fault, or that all is *well*."""
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        print(f"{len(faults)} fault{'s' if len(faults) > 1 else ''}", file=sys.stderr)
        return 1
    print(well)
    return 0


if __name__ == "__main__":
    sys.exit(main())
