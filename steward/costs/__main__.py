"""`python -m steward.costs`: invoices that a person imports, and stops of budgets that a person lifts.

Exit status: 0 done, 1 refused or not reachable, 2 the command line is wrong.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from steward.errors import BadInput, StewardError
from steward.settings import Settings, load


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    try:
        for line in _COMMANDS[chosen.command](load(chosen.settings), chosen):
            print(line)
    except StewardError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


def _import_invoice(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    # Here, because whoever asks for help needs no client of the object store.
    from steward.clients.cost_invoices import import_invoice  # noqa: PLC0415  the reason stands above

    try:
        body = chosen.file.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {chosen.file}: {error.strerror}", hint="name the file that was exported") from None
    stored = import_invoice(settings, chosen.account, chosen.month, body)
    return [
        f"the invoice of {chosen.account} for {chosen.month} that counts: {stored.object_key}",
        f"  SHA-256 {stored.sha256}, version {stored.version_id}",
    ]


def _list_stops(settings: Settings, _chosen: argparse.Namespace) -> list[str]:
    from steward.clients.cost_stops import stops_in_force  # noqa: PLC0415  as above
    from steward.clients.postgres import connect  # noqa: PLC0415  as above

    with connect(settings) as db:
        stops = stops_in_force(db)
    return [f"{each.budget}: {each.scope} {each.subject} is stopped" for each in stops] or ["no budget stops anything"]


def _lift_stop(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    from steward.clients.cost_stops import lift_stop  # noqa: PLC0415  as above
    from steward.clients.postgres import connect  # noqa: PLC0415  as above

    with connect(settings) as db:
        stop = lift_stop(db, chosen.budget, chosen.because)
    return [f"{stop.budget} is lifted until the month ends: {stop.scope} {stop.subject} is served again in ten seconds"]


_COMMANDS = {"import-invoice": _import_invoice, "stops": _list_stops, "lift-stop": _lift_stop}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m steward.costs", description="Costs of AI providers")
    commands = parser.add_subparsers(dest="command", required=True)
    importing = _command(commands, "import-invoice", "keep a provider's invoice, against which a month is stated")
    importing.add_argument("account", metavar="ACCOUNT", help="the NAME of [providers.NAME] in the settings")
    importing.add_argument("month", metavar="YYYY-MM")
    importing.add_argument("file", type=Path, metavar="FILE", help="as it was exported (JSON); kept byte by byte")
    _command(commands, "stops", "which budgets stop something now")
    lifting = _command(commands, "lift-stop", "let spending go on that a budget has stopped")
    lifting.add_argument("budget", metavar="BUDGET", help="its name, as `stops` tells it")
    lifting.add_argument("--because", required=True, metavar="TEXT", help="why; it is recorded with your name")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, told: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=told, description=told)
    command.add_argument("--settings", type=Path, help="settings file (default: the one STEWARD_SETTINGS names)")
    return command


if __name__ == "__main__":
    sys.exit(main())
