"""Workers of the gateway, each a fork of a process that has imported everything: `python -m tests.drills.gateway.worker`.

Lines of JSON come in: {"skew_seconds", "window_seconds", "log", "arguments"}, the last as for `python -m services.gateway`;
for each the process id goes out. Sixteen interpreters that start would be most of what two processors have to do.
A worker's clock may be wrong by so many seconds: whatever tells the time of day, but not the monotonic one.
"""

import ctypes
import datetime as dt
import json
import os
import signal
import sys
import time
import traceback
from contextlib import suppress
from dataclasses import replace

from services.gateway import __main__ as gateway
from services.gateway import admission

_PR_SET_PDEATHSIG = 1


def main():
    # Nobody waits for a worker: whether it lives is asked of its process id.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        told = json.loads(line)
        if pid := os.fork():
            sys.stdout.write(f"{pid}\n")
            sys.stdout.flush()
        else:
            _work(told)


def _work(told):
    status = 1
    try:
        _end_with_parent()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        _write_to(told["log"])
        if told["skew_seconds"]:
            skew(told["skew_seconds"])
        admission.POLICY = replace(admission.POLICY, window_seconds=told["window_seconds"])
        status = gateway.main(told["arguments"])
    except BaseException:  # noqa: BLE001  whatever it was, the process ends here, and its log says why
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def skew(seconds):
    """In all modules, whatever they call it."""
    real, real_ns, real_datetime = time.time, time.time_ns, dt.datetime

    class Skewed(real_datetime):
        @classmethod
        def now(cls, tz=None) -> dt.datetime:
            return cls.fromtimestamp(real() + seconds, tz)

        @classmethod
        def utcnow(cls) -> dt.datetime:
            return cls.now(dt.UTC).replace(tzinfo=None)

    instead = {
        id(real): lambda: real() + seconds,
        id(real_ns): lambda: real_ns() + seconds * 1_000_000_000,
        id(real_datetime): Skewed,
    }
    for module in list(sys.modules.values()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if id(value) in instead:
                with suppress(TypeError, AttributeError):
                    setattr(module, name, instead[id(value)])


def _end_with_parent():
    """A drill that is killed leaves no worker. Linux's own, since whoever is killed can do nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _write_to(path):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


if __name__ == "__main__":
    main()
