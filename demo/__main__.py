"""`python -m demo snapshot | keys | costs | rollout | release | seed | writers | onboard`: the sample application, its users and its data."""

from __future__ import annotations

import argparse
import datetime as dt
import os
import signal
import sys
from pathlib import Path
from threading import Event

from demo.tenants import largest_tenants
from steward.errors import StewardError
from steward.settings import load
from steward.verdicts import Verdict

TENANTS = 20
DOCUMENTS = 30_000
CUSTOMER_TENANTS = 200
CUSTOMERS = 100_000
ATTEMPTS = 100_000
REQUESTS = 400
SESSIONS = 60.0
#: The same users come each time. With these the two rollouts take about two minutes; with others each proof may take twice as
#: long, or be missed, as rarely as the plan says.
USERS_SEED = 16


def main(arguments: list[str]) -> int:
    """Exit code 0: done, and for `snapshot`, `keys`, `costs`, `rollout` and `release` VERIFIED."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except StewardError as error:
        print(error, file=sys.stderr)
        return 1


def _snapshot(options: argparse.Namespace) -> int:
    # Prefect is imported only where it is needed: the writers start in half a second without it.
    from demo.snapshot import play  # noqa: PLC0415
    from demo.stage import open_stage  # noqa: PLC0415

    # Told to stop, it still ends the writers that it started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    stage = open_stage(options.state)
    verdict = play(stage, largest_tenants(options.tenants), options.documents, options.rate, options.seconds)
    return 0 if verdict is Verdict.VERIFIED else 1


def _keys(options: argparse.Namespace) -> int:
    from demo.keys import play  # noqa: PLC0415  as above
    from demo.stage import open_stage  # noqa: PLC0415

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    verdict = play(open_stage(options.state), options.tenants, options.rows, options.rate, options.seconds)
    return 0 if verdict is Verdict.VERIFIED else 1


def _costs(options: argparse.Namespace) -> int:
    from demo.costs.play import last_month, play  # noqa: PLC0415  as above
    from demo.stage import open_stage  # noqa: PLC0415

    month = options.month or last_month(dt.datetime.now(dt.UTC))
    verdict = play(open_stage(options.state), month, options.attempts, options.requests)
    return 0 if verdict is Verdict.VERIFIED else 1


def _rollout(options: argparse.Namespace) -> int:
    from demo.rollout.play import play  # noqa: PLC0415  as above
    from demo.stage import open_stage  # noqa: PLC0415

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    verdict = play(open_stage(options.state), options.rate, options.seed)
    return 0 if verdict is Verdict.VERIFIED else 1


def _release(options: argparse.Namespace) -> int:
    from demo.release.play import play  # noqa: PLC0415  as above
    from demo.stage import open_stage  # noqa: PLC0415

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    verdict = play(open_stage(options.state), options.rate, options.seed)
    return 0 if verdict is Verdict.VERIFIED else 1


def _onboard(options: argparse.Namespace) -> int:
    from demo.onboarding import onboard  # noqa: PLC0415  as above

    for line in onboard(options.names):
        print(line, flush=True)
    return 0


def _seed(options: argparse.Namespace) -> int:
    from demo.seeding import seed  # noqa: PLC0415  as above

    tenants = largest_tenants(options.tenants)
    print(seed(load(), tenants, options.documents, lambda count: print(f"{count:,} documents", flush=True)))
    return 0


def _writers(options: argparse.Namespace) -> int:
    from demo.oplog import OperationLog  # noqa: PLC0415  as above
    from demo.writers import write  # noqa: PLC0415

    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with OperationLog(options.log) as log:
        write(load(), largest_tenants(options.tenants), log, stop, rate=options.rate, seconds=options.seconds)
        print(f"{len(log.acknowledged())} of {len(log.entries())} writes acknowledged")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    verbs = parser.add_subparsers(required=True)

    def verb(name: str, run: object, text: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text)
        added.set_defaults(run=run)
        return added

    snapshot = verb("snapshot", _snapshot, "one night on the running replica, from nothing to its certificate")
    keys = verb("keys", _keys, "one rotation of every key on the running replica, amid traffic, to its certificate")
    keys.add_argument("--rows", type=int, default=CUSTOMERS, help="customers of all tenants together")
    costs = verb("costs", _costs, "one month of AI costs on the running replica, explained to the cent")
    costs.add_argument("--month", default="", metavar="YYYY-MM", help="default: the last one that is over (UTC)")
    costs.add_argument("--attempts", type=int, default=ATTEMPTS, help="of the month, all accounts together")
    costs.add_argument("--requests", type=int, default=REQUESTS, help="through the gateway, today")
    rollout = verb(
        "rollout", _rollout, "two rollouts on the running replica, under live users: one to everybody, one back"
    )
    release = verb(
        "release", _release, "three pushes on the running replica, under live users: to everybody, back, stopped"
    )
    for each in (rollout, release):
        each.add_argument("--rate", type=float, default=SESSIONS, help="sessions of users that begin in a second")
        each.add_argument(
            "--seed", type=int, default=USERS_SEED, help="of the users; with others it may take twice as long"
        )
    for each in (snapshot, keys, costs, rollout, release):
        each.add_argument("--state", type=Path, help="the replica's state folder (default: as for `python -m replica`)")
    seed = verb("seed", _seed, "create the tenants' documents; needs STEWARD_SETTINGS")
    writers = verb("writers", _writers, "write for a while; needs STEWARD_SETTINGS")
    writers.add_argument("--log", type=Path, help="append what was done to this file")
    onboard = verb("onboard", _onboard, "onboard tenants by name; needs STEWARD_SETTINGS and PREFECT_API_URL")
    onboard.add_argument("names", nargs="+")
    keys.add_argument("--tenants", type=int, default=CUSTOMER_TENANTS, help="how many")
    for each in (snapshot, seed, writers):
        each.add_argument("--tenants", type=int, default=TENANTS, help="how many, largest first")
    for each in (snapshot, seed):
        each.add_argument("--documents", type=int, default=DOCUMENTS, help="of all tenants together")
    for each, rate, seconds in ((snapshot, 200, 900), (writers, 200, 900), (keys, 40, 3600)):
        each.add_argument("--rate", type=float, default=rate, help="requests a second, all tenants together")
        each.add_argument(
            "--seconds", type=float, default=seconds, help="the traffic ends after this time at the latest"
        )
    return parser


if __name__ == "__main__":
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
    sys.exit(main(sys.argv[1:]))
