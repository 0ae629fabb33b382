"""`python -m services.watch`: take up what was abandoned, withdraw what nobody decides, tell what is overdue, count.

Failure semantics: the watch keeps nothing that is not in the ledger, so it may be killed at any moment and started
again; two of them side by side do no harm. A database or a Prefect that is away is said once, and waited for.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from services.watch.journal import say
from steward.errors import BadInput, StewardError
from steward.settings import Settings, load

if TYPE_CHECKING:
    from steward.operations.expectations import Expectation

_DEFAULT = Path(str(files("deployments"))) / "operations.toml"


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    try:
        _watch(chosen)
    except StewardError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


def _watch(chosen: argparse.Namespace) -> None:
    host, port = _address(chosen.listen)
    if not os.environ.get("PREFECT_API_URL"):
        # Its client would start a server of its own, and find it empty.
        raise BadInput(
            "PREFECT_API_URL is not set", hint="let it name the API of Prefect's server: http://HOST:PORT/api"
        )
    # Only here: whoever asks for help needs neither a driver nor Prefect.
    from services.watch.bookkeeping import Bookkeeping  # noqa: PLC0415  the reason stands above
    from services.watch.costs import Costs  # noqa: PLC0415  the reason stands above
    from services.watch.exporter import serve  # noqa: PLC0415  the reason stands above
    from services.watch.guardian import Guardian  # noqa: PLC0415  the reason stands above
    from services.watch.providers import Providers  # noqa: PLC0415  the reason stands above
    from services.watch.reaper import Reaper  # noqa: PLC0415  the reason stands above
    from services.watch.situation import Situation  # noqa: PLC0415  the reason stands above
    from services.watch.sweeping import Sweeping  # noqa: PLC0415  the reason stands above
    from services.watch.switch import Switch  # noqa: PLC0415  the reason stands above
    from steward.operations.ledger import Ledger  # noqa: PLC0415  the reason stands above

    # A patience of nothing: the next round asks again.
    settings = load(chosen.settings)
    situation = Situation(Ledger(settings, patience_seconds=0), expected(settings, chosen.expectations))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: situation.stopped.set())
    port = serve(situation, host, port)
    say("watching", pid=os.getpid(), listen=f"{host}:{port}", expected=len(situation.expectations))
    loops = (Bookkeeping, Reaper, Providers, Sweeping, Costs, Guardian)
    for loop in (each(situation) for each in loops):
        threading.Thread(target=loop.run, name=type(loop).__name__, daemon=True).start()
    # No loop is waited for: whatever they are at, a watch that comes later finds in the ledger.
    switch = Switch(situation)
    while not situation.stopped.wait(1.0):
        switch.tell()
    say("stopped")


def expected(settings: Settings, path: Path) -> list[Expectation]:
    """What ought to happen where *settings* have the part that it needs; what nobody expects is said once."""
    from steward.operations.expectations import at_rest, read_expectations  # noqa: PLC0415  as in _watch

    described = read_expectations(path)
    resting = at_rest(described, settings)
    for each in resting:
        say("not expected", operation=each, because=f"the settings do not have {each.needs}")
    return [each for each in described if each not in resting]


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise BadInput(f"{text!r} is no address to listen on", hint="expected HOST:PORT, such as 127.0.0.1:9464")
    return host, int(port)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m services.watch", description="take up what was abandoned, tell what is overdue, count"
    )
    parser.add_argument("--settings", type=Path, help="settings file (default: the one STEWARD_SETTINGS names)")
    parser.add_argument("--expectations", type=Path, default=_DEFAULT, help="what ought to happen, and when (TOML)")
    parser.add_argument("--listen", default="127.0.0.1:9464", metavar="HOST:PORT", help="for /metrics and /healthz")
    return parser


if __name__ == "__main__":
    # Every thread is a daemon's; one that hangs in a call must not keep the process.
    status = main()
    sys.stdout.flush()
    os._exit(status)
