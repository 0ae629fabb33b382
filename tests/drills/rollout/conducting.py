"""One case: a rollout held where the seed says, whom it hits, and everything that was seen until it ended."""

import signal
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from uuid import UUID

import psutil

from replica import faults, processes
from replica.supervision import Keeper
from tests.drills.operations.stage import until
from tests.drills.rollout.blinding import blinded
from tests.drills.rollout.cases import AWAY_SECONDS, BAD, Case
from tests.drills.rollout.seeing import Record, Sample, Tick
from tests.drills.rollout.stage import PATIENCE_SECONDS, Stage, has_baseline
from tests.flows import rollout_ground as ground

FINAL = {"done", "failed", "undone", "cancelled"}
#: What was pushed at the end is with everybody then.
_SETTLE_SECONDS = 1.5


@dataclass
class Story:
    """What is judged."""

    case: Case
    run: UUID
    period: str
    began_at: float
    struck_at: float = 0.0
    """Unix time; 0: the rollout ended before it came there."""
    back_at: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    ticks: dict[str, list[Tick]] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    """What users got instead of answers, by kind; statuses are the shop's own dials and the load balancer's."""

    @property
    def last(self):
        return self.samples[-1] if self.samples else None

    @property
    def has_ended(self):
        return self.last is not None and self.last.operation in FINAL


def plan_of(case):
    """Decided within seconds, and under the lease of the case."""
    more = {"metrics": (ground.ERROR,)} if harms(case) else {}
    return ground.plan(
        **more,
        steps=(25, 100),
        lease_seconds=case.lease_seconds,
        renew_seconds=1,
        look_seconds=1,
        bake_seconds=3,
        deadline_seconds=25 if case.victim == "data" else 90,
        blind_seconds=30,
    )


def conduct(stage: Stage, case: Case) -> Story:
    """Everything of it."""
    ground.lay(stage.settings)
    # What a case before this one kept from being counted is fresh again.
    until(lambda: has_baseline(stage.settings), PATIENCE_SECONDS, "baseline")
    until(stage.observers.see_nobody, PATIENCE_SECONDS, "SDK without anybody exposed")
    stage.arm(case.place)
    began, failed = time.time(), Counter(stage.users.report().failures)
    run = stage.begin(ground.request(case.place.release, plan=plan_of(case)))
    period = f"{case.place.release}/{run}"
    record = Record(stage.settings, period)
    record.start()
    story = Story(case, run, period, began, samples=record.samples)
    try:
        until(lambda: stage.held() or story.has_ended, PATIENCE_SECONDS, lambda: f"{case}: {record.last}")
        with ExitStack() as blind:
            if (pid := stage.held()) and case.victim == "data":
                rollout = record.last.rollout
                blind.enter_context(blinded(stage, case.kind, rollout, "green"))
                stage.let_go()
                wait_for_end(story)
            elif pid:
                strike(stage, story, pid)
    finally:
        stage.let_go()
        # Whatever went wrong here: the next case must not meet this one's rollout.
        wait_for_end(story)
        time.sleep(_SETTLE_SECONDS)
        record.stop()
    story.ticks = stage.observers.ticks(began)
    story.failures = Counter(stage.users.report().failures) - failed
    return story


def wait_for_end(story):
    """Or for as long as anything may take."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not story.has_ended and time.monotonic() < deadline:
        time.sleep(0.1)


def strike(stage, story, pid):
    """The fault, and its end; the run goes on meanwhile, if it can."""
    case, state = story.case, stage.replica.state
    assert processes.is_own(pid, state), f"process {pid} of {case} is not the replica's"
    run, server = processes.tree(pid), {"host": "worker", "flow": None}.get(case.victim, case.victim)
    frozen = []
    story.struck_at = time.time()
    if case.victim in {"flow", "host"}:
        frozen = run
        processes.send(run, signal.SIGKILL if case.kind == "kill" else signal.SIGSTOP)
    if server and case.kind == "kill":
        # Back as soon as whoever keeps it can, or only once somebody comes.
        faults.kill(state, server, alone=case.victim == "worker", restart=case.away == "short" and server != "worker")
    elif server:
        frozen += processes.tree(Keeper(state).process(server).pid)
        processes.send(frozen, signal.SIGSTOP)
    stage.let_go()
    time.sleep(max(0.0, story.struck_at + AWAY_SECONDS[case.away] - time.time()))
    if case.kind == "stop":
        processes.send(frozen, signal.SIGCONT)
    if server:
        stage.mend(server)
    story.back_at = time.time()


def harms(case):
    """Whether its release does."""
    return case.place.release == BAD


def gone(stage, story, pids, seconds=40):
    """Those of *pids*, once runs of the rollout, that are still there after a while."""
    own = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid) and processes.is_own(pid, stage.replica.state)]
    return psutil.wait_procs(own, timeout=seconds)[1]
