"""From kill -9 of a flow's process to the first step of the attempt that takes it up, and where that time goes."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import pairwise
from statistics import median, quantiles
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import StateType

from bench.ground import Ground, progress
from bench.resume_flow import bench_resume
from replica import processes
from replica.servers.worker import POOL
from steward.errors import StewardError
from steward.operations.ledger import Ledger, Row

#: So many at once start in good time on two cores; none is killed before all are there.
_STARTS_AT_ONCE = 4
#: Kills are this far apart, so that no resumed process starts beside another: each is timed as if alone.
_APART_SECONDS = (10.0, 14.0)
_PATIENCE_SECONDS = 180.0
#: What a late third attempt would have to do it in: more than a lease and a start.
_QUIET_SECONDS = 30.0


class NotResumed(StewardError):
    """A killed flow was not taken up, or one was that nobody had killed: there is nothing to time."""


@dataclass(frozen=True)
class Resume:
    """One kill: seconds, part by part."""

    lease_left: float
    """From the kill until the dead process's lease ran out."""
    taken_up: float
    """Until the watch had made the new run."""
    picked_up: float
    """Until a worker had it PENDING."""
    started: float
    """Until its process had it RUNNING: Python's start and its imports."""
    claimed: float
    """Until it held the operation."""
    first_step: float
    """Until the intent of its first step stood."""

    @property
    def total(self) -> float:
        return sum(getattr(self, part.name) for part in fields(self))


@dataclass(frozen=True)
class Resumes:
    """All kills of a bench."""

    kills: list[Resume]
    third_attempts: int

    def as_json(self) -> dict[str, object]:
        """Of the whole the median and the 95th percentile, of each part the median."""
        totals = [each.total for each in self.kills]
        parts = {part.name: round(median(getattr(e, part.name) for e in self.kills), 2) for part in fields(Resume)}
        return {
            "kills": len(self.kills),
            "resume_p50_seconds": round(median(totals), 1),
            "resume_p95_seconds": round(quantiles(totals, n=20, method="inclusive")[-1], 1),
            "resume_parts_p50_seconds": parts,
            "third_attempts": self.third_attempts,
        }


class Killing:
    """Flows of one deployment, started, killed and timed."""

    def __init__(self, at: Ground, client: SyncPrefectClient) -> None:
        self._at, self._client = at, client
        self._book = Ledger(at.settings)
        self._deployment = client.create_deployment(
            flow_id=client.create_flow_from_name(bench_resume.name),
            name="bench",
            entrypoint="bench.resume_flow.bench_resume",
            work_pool_name=POOL,
            pull_steps=[],
        )

    def run(self, kills: int, seed: int) -> Resumes:
        """Start them all, then kill one after the other."""
        names = [f"resume-{number}" for number in range(kills)]
        for first in range(0, kills, _STARTS_AT_ONCE):
            self._start(names[first : first + _STARTS_AT_ONCE])
        progress(f"{kills} flows are at work")
        chance, killed = random.Random(seed), list[tuple[str, float, datetime]]()  # noqa: S311  a draw, no secret
        for name in names:
            killed.append(self._kill(name))
            time.sleep(chance.uniform(*_APART_SECONDS))
        for name in names:
            self._await(lambda name=name: self._operation(name)["state"] == "done", f"end of {name}")
        resumes = [self._resume(*each) for each in killed]
        time.sleep(_QUIET_SECONDS)
        third = sum(self._operation(name)["attempt"] > 2 for name in names)  # noqa: PLR2004  one that died, one that did not
        self._book.close()
        return Resumes(resumes, third)

    def _start(self, names: list[str]) -> None:
        for name in names:
            self._client.create_flow_run_from_deployment(self._deployment, parameters={"name": name})
        for name in names:
            self._await(lambda name=name: self._is_lingering(name), f"start of {name}")

    def _is_lingering(self, name: str) -> bool:
        return bool(self._book.query(_LINGERING, name=name))

    def _kill(self, name: str) -> tuple[str, float, datetime]:
        """When, in Unix seconds, and until when the dead process holds its lease."""
        row = self._operation(name)
        pid = int(row["owner"].split(":")[1])
        if row["attempt"] != 1 or not processes.is_own(pid, self._at.logs.parent):
            raise NotResumed(f"{name} is at attempt {row['attempt']} in process {pid} before it was killed")
        at = time.time()
        os.kill(pid, signal.SIGKILL)
        return name, at, self._operation(name)["lease_until"]

    def _resume(self, name: str, killed: float, lease_until: datetime) -> Resume:
        (step,) = self._book.query(_ARRIVED, name=name)
        states = {state.type: state.timestamp for state in self._states(step["flow_run_id"])}
        moments = [
            lease_until,
            states[StateType.SCHEDULED],
            states[StateType.PENDING],
            states[StateType.RUNNING],
            step["began_at"],
            step["arrived_at"],
        ]
        at = [killed, *(moment.timestamp() for moment in moments)]
        resume = Resume(*(later - earlier for earlier, later in pairwise(at)))
        progress(
            f"  {name}: {resume.total:5.1f} s = "
            + " + ".join(f"{part.name} {getattr(resume, part.name):.1f}" for part in fields(resume))
        )
        return resume

    def _states(self, run_id: UUID):  # noqa: ANN202  Prefect's list of states of any result
        return self._client.read_flow_run_states(run_id)

    def _operation(self, name: str) -> Row:
        (row,) = self._book.query("SELECT * FROM steward.operations WHERE subject = %(name)s", name=name)
        return row

    def _await(self, is_true: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _PATIENCE_SECONDS
        while not is_true():
            if time.monotonic() > end:
                raise NotResumed(f"no {what} within {_PATIENCE_SECONDS:.0f} s", hint=f"see {self._at.logs}")
            time.sleep(0.5)


_LINGERING = """
SELECT s.name FROM steward.operation_steps s JOIN steward.operations o ON o.id = s.operation_id
 WHERE o.subject = %(name)s AND s.name = 'linger'
"""

_ARRIVED = """
SELECT a.flow_run_id, a.began_at, s.intended_at AS arrived_at
  FROM steward.operations o
  JOIN steward.operation_steps s ON s.operation_id = o.id AND s.name = 'arrive'
  JOIN steward.operation_attempts a ON a.token = s.token
 WHERE o.subject = %(name)s
"""
