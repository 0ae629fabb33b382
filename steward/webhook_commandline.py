"""The command line of `python -m steward webhooks …`, which needs neither a driver nor a server to explain itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator


def add_commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Each knows its function by the name in `does`."""
    commands = parser.add_subparsers(dest="action", required=True)
    listing = commands.add_parser("list", help="deliveries, newest first, and what came of them")
    listing.add_argument("--source", metavar="NAME", help="of this sender alone")
    listing.add_argument("--state", help="received, waiting, refused, decided, started or ignored")
    listing.add_argument("--limit", type=int, default=20)
    showing = commands.add_parser("show", help="one delivery: what it told, what each rule made of it, and why not")
    showing.add_argument("--body", action="store_true", help="all that its sender wrote, too")
    retrying = commands.add_parser("retry", help="ask the rules anew about one that was refused or ignored")
    for command in (showing, retrying):
        command.add_argument("id", metavar="ID", type=int, help="the delivery's number, as `list` tells it")
    sending = commands.add_parser("send", help="sign and send a delivery as one of the settings' senders")
    sending.add_argument(
        "source", metavar="SOURCE", help="a sender of kind signed: the NAME of [webhooks.sources.NAME]"
    )
    sending.add_argument("type", metavar="TYPE", help="what happened, as rules name it: git.push")
    sending.add_argument(
        "--data", required=True, metavar="JSON", help="an object; @FILE reads a file, - standard input"
    )
    sending.add_argument("--id", default="", metavar="ID", help="what it is known by: sent twice, it counts once")
    sending.add_argument("--url", default="", metavar="URL", help="of a receiver's source (default: the settings')")
    named = {"list_deliveries": listing, "show_delivery": showing, "retry_delivery": retrying, "send": sending}
    for name, command in named.items():
        command.set_defaults(does=name)
        yield command
