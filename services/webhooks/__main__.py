"""`python -m services.webhooks serve --port N`: one receiver; `dispatch`: one dispatcher; `check`: are the rules usable?

Any number may run beside one another, and be killed at any time. Failure semantics: a delivery that was answered 202 or 200 is on the database's disk. What could not be stored is answered 503, and
comes again: its sender tries again, or the hourly reconciliation finds it in the sender's list. What is stored waits for Prefect as long as it
is away, and starts once.
"""

from __future__ import annotations

import argparse
import logging
import sys

from steward.errors import StewardError
from steward.settings import load


def main(arguments: list[str]) -> int:
    """0, or 2 for bad input."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # It tells each request to Prefect.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        return _run(options)
    except StewardError as error:
        print(error, file=sys.stderr)
        return 2


def _run(options: argparse.Namespace) -> int:
    # What the others stand on is not imported: a receiver is there again in a second.
    if options.command == "serve":
        from services.webhooks.server import serve  # noqa: PLC0415  the reason stands above

        serve(load(), port=options.port)
        return 0
    from services.webhooks import dispatching  # noqa: PLC0415  the reason stands above

    if options.command == "check":
        return dispatching.check(load())
    return dispatching.dispatch(load(), port=options.port, lanes=options.lanes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.webhooks", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    receiver = commands.add_parser(
        "serve", help="one receiver, on loopback: a load balancer that speaks TLS stands before it"
    )
    receiver.add_argument("--port", type=int, required=True)
    dispatcher = commands.add_parser("dispatch", help="one dispatcher: what the inbox holds becomes runs, once each")
    dispatcher.add_argument("--port", type=int, required=True, help="of /metrics and /healthz, on loopback")
    dispatcher.add_argument(
        "--lanes", type=int, default=4, choices=range(1, 33), metavar="1-32", help="at work at once"
    )
    commands.add_parser("check", help="compare the rules with the settings' sources and Prefect's deployments")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
