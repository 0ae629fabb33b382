"""The whole platform on this machine, from wheels and jars, on loopback only.

up [--only NAME …]   start it, or mend what is down
down                 stop it, by its process ids
status               ports, pids, memory, health
logs NAME [-f]       what a server said
setup                lay the caches that `up` starts from
clean                stop it and remove its state
fault …              damage it on purpose: see `python -m replica fault --help`
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from replica import inventory, ports, status
from replica.errors import NotAReplica
from replica.faults import command
from replica.selection import select
from replica.server import Place, Server
from replica.servers import SERVERS
from replica.servers.gateway import CALLER, address
from replica.start import up
from replica.state import VARIABLE, default_cache, default_state, open_place, remove
from replica.stop import down
from replica.supervision import Keeper
from steward.errors import BadInput, StewardError


def main(words: list[str] | None = None) -> int:
    """0; 1 with what was seen, expected and to be done on standard error."""
    arguments = _parser().parse_args(words)
    try:
        return int(arguments.run(arguments) or 0)
    except StewardError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # `status | head`: Python would complain again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m replica", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--state", type=Path, default=None, help=f"state folder (default: ${VARIABLE} or a fixed one)")
    chosen = argparse.ArgumentParser(add_help=False)
    chosen.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these servers and what they need")

    start = commands.add_parser("up", parents=[shared, chosen], help="start it, or mend what is down")
    start.add_argument("--new-ports", action="store_true", help="choose ports anew")
    proxies = start.add_mutually_exclusive_group()
    proxies.add_argument(
        "--with-proxies",
        dest="proxied",
        action="store_true",
        default=None,
        help="let `fault partition` and `slow` stand between clients and servers",
    )
    proxies.add_argument("--without-proxies", dest="proxied", action="store_false")
    start.set_defaults(run=_up)
    for name, run, parents, text in (
        ("down", _down, [shared, chosen], "stop it"),
        ("status", _status, [shared, chosen], "ports, pids, memory, health"),
        ("setup", _setup, [chosen], "lay the caches"),
        ("clean", _clean, [shared], "stop it and remove its state"),
    ):
        commands.add_parser(name, parents=parents, help=text).set_defaults(run=run)
    logs = commands.add_parser("logs", parents=[shared], help="what a server said")
    logs.add_argument("name")
    logs.add_argument("-n", "--lines", type=int, default=100)
    logs.add_argument("-f", "--follow", action="store_true")
    logs.set_defaults(run=_logs)
    command.add(commands, shared, _state)
    return parser


def _state(arguments: argparse.Namespace) -> Path:
    return (arguments.state or default_state()).absolute()


def _say(text: str) -> None:
    print(text, flush=True)


def _up(arguments: argparse.Namespace) -> None:
    state = _state(arguments)
    if arguments.new_ports:
        _forget_ports(state)
    place = up(state, SERVERS, arguments.only, proxied=arguments.proxied, say=_say)
    _say(f"settings:  . {inventory.environment_file(place)}")
    chosen = {server.name for server in select(SERVERS, arguments.only)}
    if "gateway" in chosen:
        _say(f"gateway:   {address(place)} (its caller's key is in {place.secret_ref(CALLER).removeprefix('file:')})")
    if "prefect" in chosen:
        _say(
            f"Prefect:   http://127.0.0.1:{place.port('prefect', 'api')} (log in with PREFECT_API_AUTH_STRING of that file)"
        )
    suffix = f" --state {state}" if arguments.state else ""
    _say(f"to stop:   python -m replica down{suffix}")


def _forget_ports(state: Path) -> None:
    if Keeper(state).pid() is not None:
        raise BadInput(f"the replica at {state} is running on its ports", hint="first: python -m replica down")
    ports.forget(state)


def _down(arguments: argparse.Namespace) -> None:
    down(_state(arguments), SERVERS, arguments.only, say=_say)


def _status(arguments: argparse.Namespace) -> int:
    place = open_place(_state(arguments), SERVERS)
    found = status.rows(place, _shown(place, arguments.only))
    print(status.table(found))
    return 0 if all(row.healthy for row in found) else 1


def _shown(place: Place, only: list[str]) -> list[Server]:
    """Those that are meant, and of the others those that were started."""
    chosen = {server.name for server in select(SERVERS, only, proxied=place.proxied)}
    if not only:
        chosen |= {name for name, process in Keeper(place.state).processes().items() if process.state.is_up}
    return [server for server in SERVERS if server.name in chosen]


def _setup(arguments: argparse.Namespace) -> None:
    for server in select(SERVERS, arguments.only):
        server.install(default_cache())
    _say(f"caches are laid in {default_cache()}")


def _clean(arguments: argparse.Namespace) -> None:
    state = _state(arguments)
    try:
        down(state, SERVERS, [], say=_say)
    except NotAReplica:
        if state.exists():
            raise
        return
    remove(state)
    _say(f"removed {state}")


def _logs(arguments: argparse.Namespace) -> None:
    select(SERVERS, [arguments.name], proxied=True)
    path = _state(arguments) / "logs" / f"{arguments.name}.log"
    # `tail` itself: it follows through rotation and ends with the terminal.
    follow = ["-F"] if arguments.follow else []
    sys.stdout.flush()
    os.execvp("tail", ["tail", "-n", str(arguments.lines), *follow, str(path)])  # noqa: S606 -- no shell is wanted


if __name__ == "__main__":
    sys.exit(main())
