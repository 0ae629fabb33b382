"""`python -m steward.operations`: what the ledger holds, and what a person decides about it.

Exit status: 0 done, 1 refused or not reachable, 2 the command line is wrong.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from steward.errors import StewardError
from steward.settings import load

#: Whoever waits at a prompt would rather be told.
_PATIENCE_SECONDS = 5.0


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    try:
        print(_run(chosen))
    except StewardError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


def _run(chosen: argparse.Namespace) -> str:
    # Here, because whoever asks for help needs no driver of PostgreSQL.
    from steward.operations import browsing, decisions  # noqa: PLC0415  the reason stands above
    from steward.operations.ledger import Ledger  # noqa: PLC0415  the reason stands above

    ledger = Ledger(load(chosen.settings), patience_seconds=_PATIENCE_SECONDS)
    match chosen.command:
        case "list":
            return browsing.list_operations(ledger, state=chosen.state, name=chosen.name, limit=chosen.limit)
        case "show":
            return browsing.show_operation(ledger, chosen.id)
        case "resolve":
            step, result = (chosen.step, chosen.key), decisions.read_result(chosen.result)
            said = {"happened": chosen.happened, "result": result, "why": chosen.because}
            return decisions.resolve(ledger, chosen.id, step, **said)
        case "reopen":
            return decisions.reopen(ledger, chosen.id, anew=chosen.anew, why=chosen.because)
        case _:
            return decisions.cancel(ledger, chosen.id, why=chosen.because)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m steward.operations", description="The operation ledger")
    commands = parser.add_subparsers(dest="command", required=True)
    listing = _command(commands, "list", "what there is, newest first")
    listing.add_argument("--state", help="due, running, waiting, done, failed, undone, cancelled or skipped")
    listing.add_argument("--name", help="the operation's name, such as nightly-snapshot")
    listing.add_argument("--limit", type=int, default=20)
    _of_one(_command(commands, "show", "one operation: attempts, steps, what it left, and what to do"))
    resolving = _deciding(_command(commands, "resolve", "say whether a step in doubt happened; the operation goes on"))
    resolving.add_argument("step", help="the step's name, as `show` tells it")
    resolving.add_argument("--key", default="", help="its key, where it has one")
    either = resolving.add_mutually_exclusive_group(required=True)
    either.add_argument("--happened", action="store_true", help="it is taken as done, and not done again")
    either.add_argument("--did-not-happen", action="store_true", help="it is done again")
    resolving.add_argument("--result", metavar="JSON", help="with --happened: what the step would have returned")
    reopening = _deciding(_command(commands, "reopen", "let an operation that ended run again"))
    reopening.add_argument("--anew", action="store_true", help="from its first step, instead of the one in flight")
    _deciding(_command(commands, "cancel", "end an operation that has not ended; its process is refused"))
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, told: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=told, description=told)
    command.add_argument("--settings", type=Path, help="settings file (default: the one STEWARD_SETTINGS names)")
    return command


def _of_one(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("id", type=int, help="the operation's number, as `list` tells it")
    return command


def _deciding(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("--because", required=True, metavar="TEXT", help="why; it is recorded with your name")
    return _of_one(command)


if __name__ == "__main__":
    # `… | head` ends quietly, as other tools do.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    sys.exit(main())
