"""`python -m steward.evidence`: verify envelopes, proofs and the log; list, show, export and complete what is recorded.

Exit status of verify: 0 it is proved (of a statement, the verdict is printed: it may be REFUTED), 1 tampered with, cut
back, or another key's, 2 nothing can be said, or not everything: a file or key is unusable, something is not signed.
Of the other commands: 0 done, 1 not done.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from steward.errors import StewardError
from steward.evidence.verifying import run_verify

_Commands = argparse._SubParsersAction  # noqa: SLF001 # argparse has no public name for it


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.command == "verify":
        told, status = run_verify(chosen)
        print(told)
        return status
    # Only here: verification needs neither a driver nor settings.
    from steward.evidence import browsing  # noqa: PLC0415 # the reason stands above

    try:
        print(browsing.run(chosen))
    except StewardError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m steward.evidence", description="Evidence of operations")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_verify(commands)
    listing = _recorded(commands, "list", "what is recorded, newest first")
    listing.add_argument("--operation")
    listing.add_argument("--subject")
    listing.add_argument("--period")
    listing.add_argument("--limit", type=int, default=20)
    showing = _recorded(commands, "show", "one statement in words, its signature checked")
    showing.add_argument("digest", help="SHA-256 of the statement, or how it begins")
    _add_export(commands)
    _recorded(commands, "complete", "lock, sign and anchor what an interrupted run left in the database only")
    _recorded(commands, "recover", "after a restore: record again what the database lost and the bucket still has")
    _recorded(commands, "checkpoint", "the newest signed checkpoint of the log, for an auditor to keep")
    _recorded(commands, "keys", "the public keys of the log's checkpoints, and whether the vault's newest is published")
    for command in (listing, showing):
        command.add_argument("--json", action="store_true", help="for machines")
    return parser


def _add_verify(commands: _Commands[argparse.ArgumentParser]) -> None:
    verifying = _recorded(commands, "verify", "check an envelope, a proof or a log; files need no server")
    verifying.add_argument(
        "path",
        type=Path,
        nargs="?",
        help="what `export` wrote: an envelope, a proof, a log's folder; absent: the stores",
    )
    verifying.add_argument(
        "--key", type=Path, action="append", default=[], help="a public key that statements are signed with, PEM"
    )
    verifying.add_argument(
        "--log-key", type=Path, action="append", default=[], help="public keys that checkpoints are signed with, PEM"
    )
    verifying.add_argument("--checkpoint", type=Path, metavar="LAST_SEEN", help="a checkpoint that was kept earlier")
    verifying.add_argument("--no-anchors", dest="anchors", action="store_false", help="leave the anchors unread")
    verifying.add_argument("--json", action="store_true", help="for machines")


def _add_export(commands: _Commands[argparse.ArgumentParser]) -> None:
    exporting = _recorded(commands, "export", "write one envelope, its proof, or the whole log, for an auditor")
    exporting.add_argument("digest", nargs="?", help="SHA-256 of the statement, or how it begins")
    exporting.add_argument("--to", type=Path, help="a file that does not exist yet")
    what = exporting.add_mutually_exclusive_group()
    what.add_argument("--locked", action="store_true", help="from the object store; needs the whole digest")
    what.add_argument("--proof", action="store_true", help="with its proof of inclusion in the log")
    what.add_argument("--log", type=Path, metavar="DIR", help="the whole log, into a new folder")
    exporting.add_argument("--no-anchors", dest="anchors", action="store_false", help="of --log: without the anchors")


def _recorded(commands: _Commands[argparse.ArgumentParser], name: str, told: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=told)
    command.add_argument("--settings", type=Path, help="settings file (default: the one STEWARD_SETTINGS names)")
    return command


if __name__ == "__main__":
    # `… | head` ends quietly, as other tools do.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
