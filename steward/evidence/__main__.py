"""`python -m steward.evidence`: verify an envelope offline; list, show, export and complete what is recorded.

Exit status of verify: 0 the signature is good (and the verdict is printed: it may be REFUTED), 1 tampered with or
another key's, 2 nothing can be said: the file or the key is unusable. Of the other commands: 0 done, 1 not done.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path

from steward.errors import StewardError
from steward.evidence.errors import SignatureRefused
from steward.evidence.verification import as_values, in_words, verify_file

REFUSED = 1
UNUSABLE = 2


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    if chosen.command == "verify":
        return _verify(chosen.file, chosen.key, as_json=chosen.json)
    # Only here: verification needs neither a driver nor settings.
    from steward.evidence import browsing  # noqa: PLC0415 # the reason stands above

    try:
        print(browsing.run(chosen))
    except StewardError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


def _verify(file: Path, key: Path, *, as_json: bool) -> int:
    try:
        verified = verify_file(file, key)
    except SignatureRefused as error:
        return _failed("refused", error, REFUSED, as_json=as_json)
    except StewardError as error:
        return _failed("unusable", error, UNUSABLE, as_json=as_json)
    print(json.dumps(as_values(verified), indent=2) if as_json else in_words(verified))
    return 0


def _failed(signature: str, error: StewardError, status: int, *, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"signature": signature, "reason": error.message, "hint": error.hint}, indent=2))
    else:
        print(f"signature: {signature.upper()}\n{error}")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m steward.evidence", description="Evidence of operations")
    commands = parser.add_subparsers(dest="command", required=True)
    verifying = commands.add_parser("verify", help="check an envelope's signature; needs no server")
    verifying.add_argument("file", type=Path, help="the envelope, as `export` wrote it")
    verifying.add_argument("--key", type=Path, required=True, help="the signer's public key, PEM")
    listing = _recorded(commands, "list", "what is recorded, newest first")
    listing.add_argument("--operation")
    listing.add_argument("--subject")
    listing.add_argument("--period")
    listing.add_argument("--limit", type=int, default=20)
    showing = _recorded(commands, "show", "one statement in words, its signature checked")
    showing.add_argument("digest", help="SHA-256 of the statement, or how it begins")
    exporting = _recorded(commands, "export", "write one envelope to a file, for an auditor")
    exporting.add_argument("digest", help="SHA-256 of the statement, or how it begins")
    exporting.add_argument("--to", type=Path, required=True, help="a file that does not exist yet")
    exporting.add_argument("--locked", action="store_true", help="from the object store; needs the whole digest")
    _recorded(commands, "complete", "put under Object Lock what an interrupted run left in the database only")
    for command in (verifying, listing, showing):
        command.add_argument("--json", action="store_true", help="for machines")
    return parser


def _recorded(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, told: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=told)
    command.add_argument("--settings", type=Path, help="settings file (default: the one STEWARD_SETTINGS names)")
    return command


if __name__ == "__main__":
    # `… | head` ends quietly, as other tools do.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
