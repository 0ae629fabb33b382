"""One night of the drill: met at its point, and what became of it."""

import signal
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import psutil

from replica import faults
from steward.snapshots.policy import FanOut
from steward.verdicts import Verdict
from tests.drills.nights.cases import MIDST_SECONDS, SERVERS
from tests.drills.nights.stage import ENDED, GONE_WITHIN_SECONDS
from tests.drills.operations.stage import LEASE_SECONDS, until

#: A start on two busy cores, and the steps before the point.
MET_WITHIN_SECONDS = 180
#: Beyond this a night is stuck: a lease, the watch, two starts, an outage, a step's three retries.
ENDED_WITHIN_SECONDS = 400


@dataclass
class Tally:
    """What went wrong. `unknown` is none: a night that could not be proved said so, and was then proved."""

    cases: int = 1
    false_verified: int = 0
    leftovers: int = 0
    duplicates: int = 0
    stuck: int = 0
    unknown: int = 0

    @property
    def figures(self):
        return asdict(self)

    @property
    def faults(self):
        """What must be zero and is not."""
        return {name: value for name, value in self.figures.items() if value and name not in {"cases", "unknown"}}


def conduct(stage, case, chance):
    """Run *case*: its tally, and what is to be read where it is not clean."""
    began = datetime.now(UTC)
    stage.fan_out = FanOut.WORKERS if case.is_fanned_out else FanOut.INLINE
    stage.begin()
    meet(stage, case, chance)
    tally, story = Tally(), []
    if not await_end(stage):
        tally.stuck += 1
        return tally, [*story, f"{stage.operation()}", *map(str, stage.attempts())]
    if case.fault == "twice":
        start_again(stage)
    judge(stage, tally, story, began)
    return tally, story


def meet(stage, case, chance):
    """Wait for the point, and strike there."""
    until(lambda: stage.step_is(case.step, "intended", "done"), MET_WITHIN_SECONDS, f"step {case.step}")
    if case.at == "unrecorded":
        with stage.records_withheld():
            # A step that has just been recorded leaves the next one's intent to be withheld: a point as good.
            until(stage.is_withheld, LEASE_SECONDS, f"record of {case.step} that waits")
            strike(stage, case, chance)
    else:
        if case.at == "midst":
            time.sleep(chance.uniform(*MIDST_SECONDS.get(case.step, (0.02, 0.5))))
        strike(stage, case, chance)
    mend(stage, case, chance)


def strike(stage, case, chance):
    """The fault itself."""
    process = stage.process()
    if case.fault in SERVERS:
        faults.kill(stage.replica.state, case.fault, alone=case.fault == "worker")
    elif case.fault == "freeze":
        process.send_signal(signal.SIGSTOP)
    elif case.fault == "twice":
        stage.begin()
    else:
        if case.fault == "both":
            faults.kill(stage.replica.state, "worker")
        kill(process)
        if case.fault == "watch":
            # In the midst of taking it up, if the seed wills it.
            time.sleep(chance.uniform(0, LEASE_SECONDS + 4))
            stage.watch.kill()


def mend(stage, case, chance):
    """An end to the outage, after a while."""
    if case.fault == "watch":
        time.sleep(chance.uniform(0, 3))
        stage.watch.start()
    elif case.fault in SERVERS or case.fault == "both":
        time.sleep(chance.uniform(0, LEASE_SECONDS))
        stage.mend()
    elif case.fault == "freeze":
        until(lambda: len(stage.attempts()) > 1, ENDED_WITHIN_SECONDS, "successor of the frozen night")
        # The ledger names the successor now: the frozen one is the other.
        frozen = int(stage.attempts()[0]["owner"].split(":")[1])
        psutil.Process(frozen).send_signal(signal.SIGCONT)
        until(lambda: stage.attempts()[0]["refused"] > 0, MET_WITHIN_SECONDS, "refusal of the woken night")


def kill(process):
    # With its worker it may have gone already.
    with suppress(psutil.NoSuchProcess):
        process.kill()
    psutil.wait_procs([process], timeout=10)


def await_end(stage):
    """Whether the night has ended in its time."""
    end = time.monotonic() + ENDED_WITHIN_SECONDS
    while time.monotonic() < end:
        if stage.operation()["state"] in ENDED:
            return True
        time.sleep(0.5)
    return False


def start_again(stage):
    """A run of a night that is VERIFIED says so, and does nothing."""
    taken = stage.snapshots()
    state = stage.await_end(stage.begin(), MET_WITHIN_SECONDS)
    if stage.operation()["verdict"] == Verdict.VERIFIED:
        assert state.name == "AlreadyDone", state
        assert stage.snapshots() == taken


def judge(stage, tally, story, began):
    """Against the servers themselves: the copy's digest, the snapshots that are held, what was left."""
    rounds = 1
    if stage.operation()["verdict"] != Verdict.VERIFIED:
        # What an outage left unproved is proved by the next run of the same night.
        tally.unknown += 1
        story.append(f"first round: {stage.operation()['state']} {stage.operation()['error']}")
        rounds += stage.operation()["state"] == "done"
        stage.await_end(stage.begin(), ENDED_WITHIN_SECONDS)
    found = stage.operation()
    if found["verdict"] != Verdict.VERIFIED:
        tally.stuck += 1
        story.append(f"second round: {found['state']} {found['error']}")
        return
    report = stage.report()
    said = {each.index: each.digest for each in report.copies}
    if said != stage.digests():
        tally.false_verified += 1
        story.append(f"VERIFIED {said}, scanned {stage.digests()}")
    held = stage.snapshots()
    # A snapshot of a round that came to no verdict goes with the VERIFIED one; so one is left, whole.
    if held != {report.snapshot: "SUCCESS"}:
        tally.duplicates += 1
        story.append(f"snapshots {held}, expected {report.snapshot} alone")
    if len(statements := stage.statements(began)) != rounds:
        tally.duplicates += 1
        story.append(f"statements {statements} of {rounds} rounds")
    count_leftovers(stage, tally, story)


def count_leftovers(stage, tally, story):
    end = time.monotonic() + GONE_WITHIN_SECONDS
    while (left := stage.leftovers()) and all("points in time" in each for each in left) and time.monotonic() < end:
        time.sleep(2)
    tally.leftovers += len(left)
    story += left
