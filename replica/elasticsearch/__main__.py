"""`python -m replica.elasticsearch setup CACHE` (home and archive) and `lock` (the maintainer's: resolve anew)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from replica.elasticsearch import archive, home, lock
from steward.errors import StewardError


def main() -> int:
    """0, or 1 with what was seen and expected on standard error."""
    parser = argparse.ArgumentParser(prog="python -m replica.elasticsearch", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="lay out the home and make its archive").add_argument("cache", type=Path)
    commands.add_parser("lock", help="choose the jars anew and write jars.lock (needs the network)")
    arguments = parser.parse_args()
    try:
        return _lock() if arguments.command == "lock" else _setup(arguments.cache)
    except StewardError as error:
        print(error, file=sys.stderr)
        return 1


def _setup(cache: Path) -> int:
    laid_out = home.ensure(cache)
    print(laid_out)
    print(archive.ensure(laid_out))
    return 0


def _lock() -> int:
    # Here and not above: whoever only runs the replica resolves nothing.
    from replica.elasticsearch import resolve  # noqa: PLC0415

    jars = resolve.resolve()
    lock.LOCK.write_text(lock.render(jars))
    print(f"{lock.LOCK.name}: {len(jars)} jars of Elasticsearch {resolve.VERSION}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
