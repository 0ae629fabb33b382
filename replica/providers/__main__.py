"""The providers' twins.

serve CONFIGURATION.toml   listen until SIGTERM
month …                    a month of attempts and its bills as files, without HTTP: see `month --help`
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from steward.errors import StewardError


def main(words: list[str] | None = None) -> int:
    """0 after an orderly end, 2 for what cannot be used."""
    arguments = _parser().parse_args(words)
    try:
        return int(arguments.run(arguments) or 0)
    except StewardError as error:
        print(error, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m replica.providers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="listen until SIGTERM")
    serve.add_argument("configuration", type=Path)
    serve.set_defaults(run=_serve)
    month = commands.add_parser("month", help="a month of attempts and its bills as files")
    month.add_argument("--attempts", type=int, default=10_000_000)
    month.add_argument("--seed", type=int, default=1)
    month.add_argument(
        "--month", default="2026-10", metavar="YYYY-MM", help="default: 2026-10, in which a price changes"
    )
    month.add_argument(
        "--to", type=Path, required=True, metavar="DIR", help="made if absent; files of an earlier run go"
    )
    month.add_argument("--memory", default="1GB", help="the most that DuckDB may use (default 1GB)")
    month.set_defaults(run=_month)
    return parser


def _serve(arguments: argparse.Namespace) -> None:
    # Each command imports what it needs: DuckDB is no part of a server's start.
    from replica.providers import serving  # noqa: PLC0415

    serving.serve(arguments.configuration)


def _month(arguments: argparse.Namespace) -> None:
    from replica.providers import month  # noqa: PLC0415

    print(month.make(arguments.to, arguments.month, arguments.attempts, arguments.seed, memory=arguments.memory))


if __name__ == "__main__":
    sys.exit(main())
