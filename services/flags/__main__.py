"""`python -m services.flags serve --sync-port N --port N`: one server. Killed and started again, it serves within a second.

Failure semantics: it keeps nothing. While the database is away it serves what it read last, and says so; an SDK that finds no
server keeps what it has. A lease is part of what is served, so it ends whoever is away.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys

from services.flags.server import serve
from steward.errors import StewardError
from steward.settings import load


def main(arguments: list[str]) -> int:
    """0, or 2 for bad input."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        asyncio.run(serve(load(), host=options.host, sync_port=options.sync_port, port=options.port))
    except StewardError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.flags", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    server = commands.add_parser("serve", help="one server: flags over TLS, the API on plain HTTP on loopback")
    server.add_argument("--sync-port", type=int, required=True, help="of flagd.sync.v1")
    server.add_argument("--host", default="127.0.0.1", help="where flagd.sync.v1 listens; the API stays on loopback")
    server.add_argument(
        "--port", type=int, required=True, help="of the API and the web page: a load balancer stands before it"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
