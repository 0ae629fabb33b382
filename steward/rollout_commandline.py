"""The command line of `python -m steward rollout …`, which needs neither a driver nor a server to explain itself."""

from __future__ import annotations

import argparse
from collections.abc import Iterator


def add_commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Each knows its function by the name in `does`."""
    commands = parser.add_subparsers(dest="action", required=True)
    listing = commands.add_parser("list", help="rollouts, what is certified, and the ways back that were gone")
    listing.add_argument("environment", metavar="ENVIRONMENT", nargs="?", help="absent: every one")
    listing.add_argument("--limit", type=int, default=20)
    showing = commands.add_parser("show", help="one rollout: where it is and why, and what may be said of it")
    approving = commands.add_parser("approve", help="let a rollout go on that has proved itself and asks a person")
    overriding = commands.add_parser(
        "override", help="let a rollout go on that too few users can prove; it is recorded"
    )
    for command in (showing, approving, overriding):
        command.add_argument("id", metavar="ID", type=int, help="the rollout's number, as `list` tells it")
    returning = commands.add_parser("roll-back", help="NOW to the previous version: during a rollout, or after its end")
    returning.add_argument("--leave", metavar="RELEASE", default="", help="only if this is live (default: what is)")
    directing = commands.add_parser("direct", help="send all traffic to a colour, by your own judgement")
    for command in (returning, directing):
        command.add_argument("environment", metavar="ENVIRONMENT")
    directing.add_argument("colour", metavar="COLOUR")
    for command in (approving, overriding, returning, directing):
        command.add_argument("--because", required=True, metavar="TEXT", help="why; it is recorded with your name")
    named = {
        "list_rollouts": listing,
        "show_rollout": showing,
        "approve": approving,
        "override": overriding,
        "return_now": returning,
        "direct": directing,
    }
    for name, command in named.items():
        command.set_defaults(does=name)
        yield command
