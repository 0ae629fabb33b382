"""One Elasticsearch node in this process: `python -m replica.elasticsearch.node HOME CONFIG`.

SIGTERM closes it cleanly, exit code 0. What keeps it from starting is said in its last two lines, exit code 1.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from steward.errors import StewardError

_STOPS = {signal.SIGTERM, signal.SIGINT}


def main() -> int:
    """Run until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m replica.elasticsearch.node", description=__doc__)
    parser.add_argument("home", type=Path, help="what `python -m replica.elasticsearch setup` laid out")
    parser.add_argument("config", type=Path, help="the node's configuration folder")
    parser.add_argument("--heap-megabytes", type=int, default=400)
    parser.add_argument("--record", type=Path, help="record an archive for faster starts, written after the stop")
    arguments = parser.parse_args()
    # Blocked before any other thread exists, so that every thread inherits it: only sigwait sees these signals, and one
    # that comes during the start waits for its end.
    signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    _run(arguments)
    return 0


def _run(arguments: argparse.Namespace) -> None:
    # Not above: already the import of jpype starts a thread, which would be killed by the signals.
    from replica.elasticsearch import archive, embedded  # noqa: PLC0415

    options = archive.recording(arguments.record) if arguments.record else archive.options(arguments.home)
    # The variable that Elasticsearch's own launcher reads: further options of the virtual machine, which win.
    options += os.environ.get("ES_JAVA_OPTS", "").split()
    try:
        node = embedded.start(arguments.home, arguments.config, arguments.heap_megabytes, options)
    except StewardError as error:
        _give_up(arguments.config.resolve().parent.name, error)
    else:
        signal.sigwait(_STOPS)
        embedded.close(node)


def _give_up(name: str, error: StewardError) -> None:
    print(f"{name} cannot start: {error}", file=sys.stderr, flush=True)
    # Not sys.exit: threads of a half-built node would keep the virtual machine, and so this process, alive.
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
