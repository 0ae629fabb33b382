"""One case: users ask, its faults come, what was killed is up again, what is open is swept; then it is judged."""

import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from replica import faults, start
from replica.servers import SERVERS
from steward.clients.attempts_sweeping import resolve_unknown
from steward.clients.postgres import connect
from steward.errors import StewardError
from tests.drills.gateway.judgement import OVER, compare, is_cut, was_under_way
from tests.drills.gateway.users import BATCH, PEOPLE
from tests.drills.gateway.wire import NONE

_BLACKOUT_SECONDS = 100.0
#: What was granted before a master died arrives within this time.
_LEFT_OVER_SECONDS = 3.0
#: A dead worker's lease is 15 s, and PostgreSQL may have been away for as long as it lasted.
_SWEPT_SECONDS = 60.0
#: Whatever happens: answers take a while, some of them word by word, so that kills meet requests under way.
_ALWAYS = (
    {"kind": "latency", "milliseconds": 30, "jitter_milliseconds": 300},
    {"kind": "pace", "milliseconds": 8, "stream": True, "share": 0.5},
)
_DIALS = (
    {"kind": "error", "status": 503, "share": 0.15, "seconds": 8},
    {"kind": "error", "status": 429, "retry_after_seconds": 1, "share": 0.05, "seconds": 8},
    {"kind": "latency", "milliseconds": 200, "jitter_milliseconds": 1500, "seconds": 8},
    {"kind": "cut", "after": 0.5, "stream": True, "share": 0.1, "seconds": 8},
)


@dataclass
class Outcome:
    """What a case came to. `story`: what is to be read where it is not clean."""

    figures: Counter = field(default_factory=Counter)
    blackouts: list = field(default_factory=list)
    """Seconds, one for each ring of a master that was killed."""
    kills: Counter = field(default_factory=Counter)
    worst_percent: float = 0.0
    story: list = field(default_factory=list)

    @property
    def faults(self):
        """What must be nothing, and is not."""
        return {name: self.figures[name] for name in FAULTS if self.figures[name]}


FAULTS = ("violations", "lost", "doubled", "misstated", "unended", "died")


def conduct(stage, case):
    """Run *case* on *stage*."""
    conducting = Conducting(stage, case)
    conducting.run()
    return conducting.outcome


class Conducting:
    def __init__(self, stage, case) -> None:
        self.stage, self.case, self.outcome = stage, case, Outcome()
        self.dark = []
        """(from, to) in Unix time."""
        self.lost_masters = []
        """(master, Unix time)."""

    def run(self):
        stage, case = self.stage, self.case
        stage.await_rings()
        stage.workers.await_up()
        stage.await_health()
        del stage.workers.kills[:]
        before = stage.twins.admin("GET", "/violations")
        began = self._clock()
        self._lay()
        rates = {PEOPLE: stage.scale.people, BATCH: stage.scale.batch}
        users = stage.users(rates, case.seed)
        users.start()
        until = time.monotonic() + stage.scale.users_seconds
        try:
            self._meet()
            time.sleep(max(0.0, until - time.monotonic()))
            self._await_grants()
        finally:
            users.stop()
            self._mend()
        self._judge(users, before, began)

    def _lay(self):
        self.stage.twins.admin("DELETE", "/dials")
        for rule in _ALWAYS:
            self.stage.twins.lay(**rule)
        for wire in self.stage.wires.values():
            wire.delays = self.case.delays

    def _meet(self):
        """Every fault at its moment, some beside others."""
        threads = [
            threading.Thread(target=self._at, args=(after, getattr(self, f"_{fault}")), name=fault)
            for fault, after in zip(self.case.faults, self.case.at, strict=True)
        ]
        errors, threading.excepthook = [], lambda told: errors.append(told.exc_value)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            threading.excepthook = threading.__excepthook__
        if errors:
            raise errors[0]

    def _at(self, after, fault):
        time.sleep(after)
        fault()

    # The faults, by their names in the case.

    def _worker(self):
        self._kill_workers(1)

    def _workers(self):
        self._kill_workers(self.case.several)

    def _kill_workers(self, number):
        workers = self.stage.workers
        chosen = self.stage.chance.sample(workers.all, min(number, len(workers.all) - 1))
        workers.kill(chosen)
        self.outcome.kills["worker"] += len(chosen)
        for worker in chosen:
            workers.begin(worker)
        self._await_workers()

    def _await_workers(self):
        for last_words in self.stage.workers.await_up():
            self._fault("died", f"a worker ended by itself: {last_words}")

    def _postgres(self):
        began = time.monotonic()
        faults.kill(self.stage.place.state, "postgres")
        self.outcome.kills["postgres"] += 1
        time.sleep(self.case.away_seconds)
        self._up("postgres")
        self.outcome.figures["postgres_away_milliseconds"] += int(1000 * (time.monotonic() - began))

    def _redis(self):
        self.lost_masters.append((self.case.master, time.time()))
        faults.kill(self.stage.place.state, self.case.master)
        self.outcome.kills["redis"] += 1

    def _dark(self):
        # The dial ends by itself, at the twin's own clock.
        self.stage.twins.lay("dark", provider=self.case.provider, seconds=self.case.away_seconds)
        self._is_dark()

    def _unreachable(self):
        wire = self.stage.wires[self.case.provider]
        self.stage.loop.run(wire.shut())
        try:
            self._is_dark()
        finally:
            self.stage.loop.run(wire.open())

    def _is_dark(self):
        began = time.time()
        time.sleep(self.case.away_seconds)
        self.dark.append((began, time.time()))

    def _dials(self):
        for rule in _DIALS:
            self.stage.twins.lay(**rule)
        time.sleep(8)

    def _await_grants(self):
        """On each ring of a master that was killed, while users ask."""
        for master, at in self.lost_masters:
            waiting = {(provider, model) for provider, _, model in self._used_rings(master)}
            while waiting and time.time() < at + _BLACKOUT_SECONDS:
                time.sleep(0.5)
                page = self.stage.twins.admin("GET", "/attempts", after=self.stage.seen, limit=10_000)["data"]
                come = {
                    (each["provider"], each["model_asked"])
                    for each in page
                    if each["arrived_at"] > at + 2 * _LEFT_OVER_SECONDS
                }
                waiting -= come

    def _mend(self):
        """Everything is up, and as it was."""
        stage = self.stage
        for wire in stage.wires.values():
            wire.delays = NONE
            stage.loop.run(wire.open())
        stage.twins.admin("DELETE", "/dials")
        self._up("postgres", *(master for master, _ in self.lost_masters))
        self._await_workers()

    def _up(self, *servers):
        start.up(self.stage.place.state, SERVERS, list(servers), say=lambda _: None)

    def _clock(self):
        with connect(self.stage.settings) as db:
            return db.execute("SELECT clock_timestamp()").fetchone()[0]

    # What became of it.

    def _judge(self, users, before, began):
        truths, self.stage.seen = self.stage.truths()
        rows = self._swept(began)
        for fault in compare(truths, rows):
            self._fault(fault.kind, fault)
        self._violations(before)
        self._users(users)
        figures = self.outcome.figures
        reached = {row["request"] for row in rows} & {
            by["request"] for by in rows if by["id"] in {truth["client_request_id"] for truth in truths}
        }
        figures.update(cases=1, arrivals=len(truths), reached=len(reached), attempts=len(rows))
        figures.update({f"rows_{state}": sum(row["state"] == state for row in rows) for state in OVER})
        figures["estimates"] = sum(row["is_estimate"] for row in rows)
        self._lateness(truths, rows)
        self._blackouts(truths, rows)

    def _swept(self, began):
        """The ledger's rows since *began*, once none is open or everybody had the time to end it."""
        deadline = time.monotonic() + _SWEPT_SECONDS
        while True:
            with suppress(StewardError):
                resolve_unknown(self.stage.settings, sent_seconds=self.stage.scale.sent_seconds)
                with connect(self.stage.settings) as db:
                    query = (
                        "SELECT to_jsonb(a), extract(epoch FROM a.reserved_at)::float8 FROM steward.ai_attempts a "
                        "WHERE a.reserved_at >= %s"
                    )
                    rows = [row | {"at": at} for row, at in db.execute(query, [began]).fetchall()]
                if all(row["state"] in OVER for row in rows) or time.monotonic() > deadline:
                    return rows
            time.sleep(0.5)

    def _violations(self, before):
        after = self.stage.twins.admin("GET", "/violations")
        known = {(log["account"], log["model"]): log["violations"] for log in before["data"]}
        for log in after["data"]:
            self.outcome.worst_percent = max(self.outcome.worst_percent, *log["worst_percent"].values())
            more = log["violations"] - known.get((log["account"], log["model"]), 0)
            if more:
                told = [f"{each['client_request_id']} {each}" for each in log["listed"][-more:]]
                self._fault("violations", f"{log['model']}: {more} above {log['limits']}: {told}", more)

    def _users(self, users):
        figures = self.outcome.figures
        figures["refused"] = users.told["refused"]
        for asked in users.asked:
            outcome = "cut" if is_cut(asked, self.stage.workers.kills) else asked.outcome
            figures[f"{asked.who}_{outcome}"] += 1
            figures["requests"] += 1
            if self.case.is_one_dark and asked.who == PEOPLE and self._began_in_the_dark(asked) and outcome != "cut":
                figures["dark_requests"] += 1
                figures["dark_answered"] += outcome == "answered"
            if asked.who == PEOPLE and outcome not in {"answered", "cut"}:
                self._tell(f"{outcome}: {asked}")
        figures["under_way_in_the_killed"] = sum(
            was_under_way(asked, self.stage.workers.kills) for asked in users.asked
        )

    def _began_in_the_dark(self, asked):
        return any(began <= asked.began <= ended for began, ended in self.dark)

    def _lateness(self, truths, rows):
        entered = {row["id"]: row["at"] for row in rows}
        late = [
            truth["arrived_at"] - entered[truth["client_request_id"]]
            for truth in truths
            if truth["client_request_id"] in entered
        ]
        self.outcome.figures["latest_milliseconds"] = int(1000 * max(late, default=0.0))
        self.outcome.figures["late"] = sum(each > self.stage.scale.policy.dispatch_seconds for each in late)

    def _blackouts(self, truths, rows):
        """From the kill of a master to the next grant on each of its rings.

        A row may be entered before its ticket is there: what arrived was granted, at about the time of its row.
        """
        arrived = {truth["client_request_id"] for truth in truths}
        for master, killed_at in self.lost_masters:
            for ring in self._used_rings(master):
                later = [
                    row["at"]
                    for row in rows
                    if _ring(row) == ring and row["id"] in arrived and row["at"] > killed_at + _LEFT_OVER_SECONDS
                ]
                if later:
                    self.outcome.blackouts.append(round(min(later) - killed_at, 1))
                else:
                    self._fault("died", f"ring {':'.join(ring)} granted nothing any more after the loss of {master}")

    def _used_rings(self, master):
        """(provider, account, model) of each ring of *master* that users ask for here."""
        return [
            tuple(ring.name.split(":")) for who, _, ring, _ in self.stage.scale.rings(master) if who in {PEOPLE, BATCH}
        ]

    def _fault(self, kind, told, times=1):
        self.outcome.figures[kind] += times
        self._tell(f"{kind}: {told}")

    def _tell(self, told):
        if len(self.outcome.story) < 60:
            self.outcome.story.append(str(told))


def _ring(row):
    return row["provider"], row["account"], row["model_asked"]
