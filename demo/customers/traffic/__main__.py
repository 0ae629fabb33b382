"""`python -m demo.customers.traffic`: users of the application, for a while; reads STEWARD_SETTINGS, last line JSON.

Without `--url` it starts the application too; with `--direct` the users go straight to the database.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from threading import Event

from demo.customers.deployment import deployment, serving
from demo.customers.enrolment import tenant_names
from demo.customers.parent import end_with_parent
from demo.customers.traffic.arrivals import Arrivals
from demo.customers.traffic.asking import Asking
from demo.customers.traffic.direct import DirectAsking
from demo.customers.traffic.known import sample
from demo.customers.traffic.live import RATE, SECONDS, USERS, Traffic, driving
from demo.customers.traffic.over_http import HttpAsking
from demo.customers.users import application_keys, database, owner
from steward.clients.tenantkeys import open_tenant_keys
from steward.errors import StewardError
from steward.settings import Settings, load, read_secret


def main(arguments: list[str]) -> int:
    """0, whatever failed: that is in the figures."""
    options = _parser().parse_args(arguments)
    stop = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    end_with_parent()
    try:
        drive(load(), options, stop)
    except StewardError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    at = Traffic(options.folder)
    print(json.dumps({**at.summary(), "acknowledged_writes": at.acknowledged()}))
    return 0


def drive(settings: Settings, options: argparse.Namespace, stop: Event) -> None:
    """Until the time is over or *stop* is set."""
    tenants = options.tenants.split(",") if not options.tenants.isdigit() else tenant_names(int(options.tenants))
    options.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        users = list(islice(_users(settings, options, stack), options.users))
        driver = stack.enter_context(driving(options.folder, sample(settings, tenants), stop, options.seed))
        driver.warm(users)
        driver.drive(users, Arrivals(options.rate, options.seconds, options.seed))


def _users(settings: Settings, options: argparse.Namespace, stack: ExitStack) -> Iterator[Asking]:
    """As many as are wanted; several applications share them."""
    if options.direct:
        keys = stack.enter_context(open_tenant_keys(*application_keys(settings)))
        target = database(owner(settings), settings)
        while True:
            yield DirectAsking(target, keys)
    told = deployment(settings, options.folder / "secrets")
    urls = options.url or [stack.enter_context(serving(told, options.folder / "application.log")).url]
    session_key = read_secret(told.session_key)
    for url in cycle(urls):
        yield HttpAsking(url, session_key)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo.customers.traffic", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, required=True, help="for writes.jsonl, times.jsonl, logs, the session key"
    )
    parser.add_argument(
        "--tenants", default="200", help="how many of the seeded ones, or their names with commas between"
    )
    parser.add_argument("--rate", type=float, default=RATE, help="requests a second")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="it ends after this time")
    parser.add_argument("--users", type=int, default=USERS, help="requests under way at once, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--url", action="append", help="of an application that runs; may be given several times")
    parser.add_argument("--direct", action="store_true", help="no application: straight to the database")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
