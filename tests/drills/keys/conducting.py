"""One case of the drill: met at its place, gone on with until its operation has ended, and judged."""

import signal
import time
from contextlib import contextmanager, nullcontext

import psutil

from demo.customers.traffic import direct_traffic
from tests.drills.keys.judgement import Tally, judge

#: As many requests a second as are a burden to nobody: what counts is that each answer is remembered.
RATE, USERS = 12.0, 2
#: A process that lost its operation while it was in a call ends itself after 20 s.
_WOKEN_SECONDS = 60.0
#: Where a process does not come to its point, or to its end, within this time it is stuck.
PATIENCE_SECONDS = 120.0
#: Rounds and attempts after which a case is stuck.
_MOST_TRIES = 5
_POLL_SECONDS = 0.05


class Stuck(Exception):
    """Something of the case did not come to its end."""


def conduct(lane, case):
    """Run *case* in *lane*: (its tally, what is to be read where it is not clean)."""
    with lane.ground(case) as ground:
        try:
            traffic = direct_traffic(
                ground.settings, ground.folder / "traffic", ground.tenants, rate=RATE, users=USERS, seed=case.number
            )
            with traffic as users:
                meet(ground)
                go_on(ground)
        except Stuck as stuck:
            return Tally(stuck=1), [str(stuck), *last_words(ground)]
        tally, story = judge(ground, users)
        tally.kills = sum(process.exitcode == -signal.SIGKILL for process in ground.processes)
        return tally, [*story, *last_words(ground)] if tally.faults else story


def meet(ground):
    """The first process to its place, and whatever happens there, to it and to the servers."""
    case = ground.case
    process = ground.begin(case.stop)
    if case.act in {"freeze", "live"}:
        await_stop(ground, process)
        (freeze if case.act == "freeze" else outlive)(ground, process)
        return
    await_end(ground, process)
    if process.exitcode != -signal.SIGKILL:
        raise Stuck(f"the first process ended with {process.exitcode}, and did not come by {case.stop.point}")
    with outage_of(ground):
        # Begun before the server is back: what goes on meets the outage too.
        process = ground.begin(case.next_stop)
    await_end(ground, process)


def freeze(ground, frozen):
    """It loses its lease; its successor goes on, and it wakes beside it or after it."""
    case = ground.case
    known = len(ground.attempts())
    successor = ground.begin()
    if case.woken_after_seconds is None:
        await_end(ground, successor)
    else:
        until(lambda: len(ground.attempts()) > known or not successor.is_alive(), "a successor of the frozen process")
        time.sleep(case.woken_after_seconds)
    psutil.Process(frozen.pid).send_signal(signal.SIGCONT)
    await_end(ground, frozen, _WOKEN_SECONDS)
    await_end(ground, successor)


def outlive(ground, process):
    """It meets the outage, as whoever goes on working."""
    with outage_of(ground):
        psutil.Process(process.pid).send_signal(signal.SIGCONT)
    await_end(ground, process)


@contextmanager
def outage_of(ground):
    """The case's outage for the block and some seconds; none where the case has none."""
    case = ground.case
    with ground.lane.outage(*case.outage) if case.outage else nullcontext():
        yield
        if case.outage:
            time.sleep(case.outage_seconds)


def go_on(ground):
    """As the watch does: another process, until the operation has ended VERIFIED. How many tries that took."""
    for tries in range(_MOST_TRIES):
        found = ground.operation()
        if found and found["verdict"] in {"VERIFIED", "REFUTED"}:
            return tries
        await_end(ground, ground.begin())
    found = ground.operation()
    if found and found["verdict"] == "VERIFIED":
        return _MOST_TRIES
    raise Stuck(f"after {_MOST_TRIES} tries it is {found and found['state']}: {found and found['error']}")


def await_stop(ground, process):
    try:
        until(lambda: not process.is_alive() or is_stopped(process), f"a stop at {ground.case.stop.point}")
    finally:
        met = process.is_alive()
    if not met:
        raise Stuck(f"the first process ended with {process.exitcode}, and did not come by {ground.case.stop.point}")


def is_stopped(process):
    try:
        return psutil.Process(process.pid).status() == psutil.STATUS_STOPPED
    except psutil.NoSuchProcess:
        return False


def await_end(ground, process, seconds=PATIENCE_SECONDS):
    process.join(seconds)
    if process.is_alive():
        raise Stuck(f"process {process.pid} did not end within {seconds:.0f} s")


def until(answer, what):
    end = time.monotonic() + PATIENCE_SECONDS
    while not answer():
        if time.monotonic() > end:
            raise Stuck(f"no {what} after {PATIENCE_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)


def last_words(ground):
    """Of each attempt's process."""
    told = [
        f"{each['attempt']} {each['token']} {each['ended']} refused {each['refused']}" for each in ground.attempts()
    ]
    for path in sorted(ground.folder.glob("attempt-*.log")):
        lines = path.read_text(errors="replace").splitlines()
        told += [f"{path.name}:", *(f"  {line}" for line in lines[-25:])]
    return told
