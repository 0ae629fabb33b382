"""`python -m steward migrate`: bring the database to this version's schema."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from steward.errors import StewardError
from steward.settings import load


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m steward", description="Steward's own database")
    commands = parser.add_subparsers(dest="command", required=True)
    migrating = commands.add_parser("migrate", help="apply every missing revision of the schema; harmless twice")
    migrating.add_argument("--settings", type=Path, help="settings file (default: the one STEWARD_SETTINGS names)")
    chosen = parser.parse_args(arguments)
    try:
        print(_migrate(chosen.settings))
    except StewardError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


def _migrate(settings: Path | None) -> str:
    # Here, because whoever asks for help needs no driver of PostgreSQL.
    from steward.migrations.apply import migrate  # noqa: PLC0415 # the reason stands above

    done = migrate(load(settings))
    if not done.changed:
        return f"schema steward is at revision {done.after}: nothing to do"
    return f"schema steward migrated from {done.before or 'an empty database'} to revision {done.after}"


if __name__ == "__main__":
    sys.exit(main())
