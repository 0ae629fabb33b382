"""What became of a rollout, by what SDKs and users got and by what is on record; not by what its run says of itself."""

from collections import Counter

from steward.clients.flag_store import flag_history
from steward.clients.haproxy import open_balancer
from steward.clients.postgres import connect
from steward.clients.rollouts import read
from steward.evidence.envelopes import verify
from steward.evidence.signers import load_public_key
from steward.evidence.statements import parse_statement
from steward.evidence.store import list_statements
from steward.rollout.state import State
from steward.verdicts import Verdict
from tests.drills.rollout.cases import AWAY_SECONDS
from tests.drills.rollout.conducting import gone, harms
from tests.drills.rollout.exposure import GRACE_SECONDS, beyond, bound, flips, late, renewed
from tests.drills.rollout.seeing import USERS
from tests.flows import rollout_ground as ground
from tests.keyring_ground import query

#: Of the last line: whatever is no zero is a fault.
FAULTS = ("late_exposures", "flips", "promotions_without_proof", "left_over", "failures")
#: Where an outage makes users' requests fail, that is no fault of a rollout.
_OUTAGES = {"haproxy", "postgres"}
_DIALLED = {"500"}


class Judgement:
    """Counts faults, and keeps a sentence about each."""

    def __init__(self, stage, story) -> None:
        self.stage, self.story, self.case = stage, story, story.case
        self.faults, self.told = Counter(dict.fromkeys(FAULTS, 0)), []
        with connect(stage.settings) as db:
            last = story.last
            self.rollout = read(db, last.rollout) if last and last.rollout else None
            self.versions = [each for each in reversed(flag_history(db, ground.FLAG)) if self._is_of_it(each)]

    def _is_of_it(self, version):
        return self.rollout is not None and version.who == f"rollout {self.rollout.id}"

    def fault(self, kind, sentence, count=1):
        self.faults[kind] += count
        self.told.append(f"{kind}: {sentence}")

    def expect(self, kind, what, found, wanted):
        if found != wanted:
            self.fault(kind, f"{what}: {found}, expected {wanted}")

    @property
    def outcome(self):
        """In one word, for the table."""
        if self.rollout is None:
            return "refused"
        return "withdrawn" if self.is_withdrawn else "resumed"

    @property
    def is_withdrawn(self):
        """It did not go to the end that its release deserves."""
        return self.rollout.state is not State.CERTIFIED and not (
            harms(self.case) and self._verdict() is Verdict.REFUTED
        )

    def _verdict(self):
        last = self.story.last
        return Verdict(last.verdict) if last and last.verdict else None

    def judge(self):
        """All of it."""
        if not self.story.has_ended:
            self.fault("left_over", f"the operation has not ended: {self.story.last}")
            return
        if self.rollout is None:
            self._refused()
        else:
            self._ended_rightly()
            self._exposed_in_time()
            self._never_more_than_recorded()
            self._not_back_and_forth()
            self._not_blindly()
            self._on_proof_alone()
            self._flag_and_traffic()
            self._evidence()
        self._nothing_left()
        self._users()
        if self.told:
            self.told.append(f"the operation says: {self._said()}")

    def _said(self):
        sql = "SELECT state, verdict, error FROM steward.operations WHERE name = 'production-rollout' AND period = %s"
        return query(self.stage.settings, sql, self.story.period)

    def _refused(self):
        """Before it was on record: nothing was touched."""
        server_away = self.case.victim not in {"flow", "host", "worker"}
        if not (server_away and str(self.case.place).startswith("before begin")):
            self.fault("failures", "it never began")
        self.expect("left_over", "traffic", ground.live(self.stage.settings), ["blue"])
        for name, ticks in self.story.ticks.items():
            if any("1" in tick.got for tick in ticks):
                self.fault("late_exposures", f"{name}: users were exposed by no rollout")

    def _ended_rightly(self):
        rollout, verdict = self.rollout, self._verdict()
        if rollout.state is State.CERTIFIED:
            if harms(self.case):
                self.fault("promotions_without_proof", f"{rollout} does harm, and was certified")
            self.expect("failures", "verdict", verdict, Verdict.VERIFIED)
        elif rollout.state is State.ROLLED_BACK:
            if not (rollout.who and rollout.why and rollout.ended_at):
                self.fault("left_over", f"nobody is named: who {rollout.who!r}, why {rollout.why!r}")
            allowed = {Verdict.UNKNOWN, *({Verdict.REFUTED} if harms(self.case) else ())}
            if verdict not in allowed:
                self.fault("failures", f"rolled back, {verdict}: {rollout.why}")
        else:
            self.fault("left_over", f"{rollout} is {rollout.state}")

    def _exposed_in_time(self):
        """At each moment, everybody who is exposed is so under a lease; and a dead controller's is over in time."""
        for name, ticks in self.story.ticks.items():
            if found := late(ticks, self._bound):
                self.fault(
                    "late_exposures", f"{name}: {len(found)} looks, to {max(found):.2f} s after lease + 1 s", len(found)
                )

    def _bound(self, at):
        died_at = self.story.struck_at if self.is_withdrawn and self._controller_died else None
        return bound(self.story.samples, at, died_at, self.case.lease_seconds)

    @property
    def _controller_died(self):
        """And nobody has taken the rollout up."""
        before = [each.epoch for each in self.story.samples if each.at <= self.story.struck_at and each.epoch]
        went_on = bool(before) and self.rollout.epoch != before[-1]
        struck = bool(self.story.struck_at) and self.case.is_long and self.case.victim in {"flow", "host", "postgres"}
        return struck and not went_on

    def _never_more_than_recorded(self):
        exposures = [(each.at.timestamp(), exposure_of(each)) for each in self.versions]
        for name, ticks in self.story.ticks.items():
            if found := beyond(ticks, exposures):
                self.fault("failures", f"{name}: {found[0]} is more than {exposures}")

    def _not_back_and_forth(self):
        """Nobody who was taken off is exposed again."""
        for name, ticks in self.story.ticks.items():
            if times := flips(ticks):
                self.fault("flips", f"{name}: {times} times a user came back", times)

    def _not_blindly(self):
        """Where figures, or what serves flags, are away, no lease is renewed."""
        story, case = self.story, self.case
        if case.victim not in {"prometheus", "flags"} or not case.is_long or not story.struck_at:
            return
        if times := renewed(story.samples, story.struck_at, story.struck_at + AWAY_SECONDS[case.away]):
            self.fault("failures", f"the lease was renewed {times} times without {case.victim}")

    def _on_proof_alone(self):
        """Each step that was left has a GO before it was; and a release that does harm gets no further than the first."""
        looks = query(
            self.stage.settings,
            "SELECT step, decision, extract(epoch FROM at)::float8, (judgement ->> 'baking')::boolean"
            " FROM steward.rollout_judgements WHERE rollout = %s ORDER BY id",
            self.rollout.id,
        )
        steps = [each for each in self.versions if exposure_of(each)]
        for version in steps:
            left = self._left_by(version)
            found = [
                each[1] for each in looks if (each[0], each[3]) == left and each[2] <= version.at.timestamp() + 0.01
            ]
            if left and (not found or found[-1] != "GO"):
                self.fault("promotions_without_proof", f"{version.why}, after {found[-1:] or 'no look'} at step {left}")
        if (harms(self.case) or self.case.victim == "data") and len(steps) > 1:
            self.fault("promotions_without_proof", f"{self.case.place.release} got to {steps[-1].why}")

    def _left_by(self, version):
        """The step that went before *version* of the flag, and whether that was the bake; None: nobody was exposed before."""
        last = len(self.rollout.plan.steps)
        if version.why == "certified":
            return last, True
        if version.why == "bake":
            return last, False
        number = int(version.why.split()[1].rstrip(":"))
        return (number - 1, False) if number > 1 else None

    def _flag_and_traffic(self):
        rollout, settings = self.rollout, self.stage.settings
        certified = rollout.state is State.CERTIFIED
        flag, live = ground.flag_now(settings).flag, rollout.colour if certified else rollout.previous_colour
        shown = (flag.killed, flag.split.exposure_percent if flag.split else 0, flag.lease_until is None)
        if certified:
            self.expect("left_over", "flag killed, exposes, for good", shown, (False, 100, True))
        else:
            self.expect("left_over", "flag killed", flag.killed, True)
        self.expect("left_over", "traffic", ground.live(settings), [live])
        servers = open_balancer(settings, ground.ENVIRONMENT).servers()
        self.expect("left_over", "weight", [each.weight_percent for each in servers if each.name == live], [100])
        for name, ticks in self.story.ticks.items():
            exposed = ticks[-1].got.count("1") if ticks else None
            self.expect("left_over", f"{name}: exposed at the end", exposed, USERS if certified else 0)

    def _evidence(self):
        with connect(self.stage.settings) as db:
            found = list_statements(db, "production-rollout", subject=ground.ENVIRONMENT, period=self.story.period)
        if len(found) != 1:
            self.fault("failures", f"{len(found)} pieces of evidence")
            return
        key = load_public_key(self.stage.settings.evidence.public_key)
        figures = parse_statement(verify(found[0].envelope.encode(), key).payload).figures
        self.expect("failures", "verdict of the evidence", found[0].verdict, self._verdict())
        stated = figures["rollout"], figures["certified"]
        self.expect("failures", "evidence", stated, (self.rollout.id, self.rollout.state is State.CERTIFIED))

    def _nothing_left(self):
        held = query(
            self.stage.settings,
            "SELECT period, state FROM steward.operations WHERE resource = 'rollout/production'"
            " AND state IN ('due', 'running', 'waiting')",
        )
        self.expect("left_over", "operations", held, [])
        owners = query(
            self.stage.settings,
            "SELECT a.owner FROM steward.operation_attempts a JOIN steward.operations o ON o.id = a.operation_id"
            " WHERE o.period = %s",
            self.story.period,
        )
        left = gone(self.stage, self.story, {int(owner.split(":")[1]) for (owner,) in owners})
        self.expect("left_over", "processes", left, [])

    def _users(self):
        """What came to them through the load balancer."""
        if self.rollout is not None and self.rollout.state is State.ROLLED_BACK:
            ends = [each.lease_until for each in self.story.samples if each.exposure]
            after = min(max(ends, default=0.0), self.rollout.ended_at.timestamp()) + GRACE_SECONDS
            if self.case.victim == "flags":
                # Nobody could tell applications of the withdrawal: what they know of the lease ends it.
                after = max(ends, default=0.0) + GRACE_SECONDS
            elif self.case.victim in _OUTAGES:
                # What was asked before is answered once the database, or the load balancer, goes on.
                after = max(after, self.story.back_at + GRACE_SECONDS)
            answers = self.stage.users.answers_since("on", max(after, self.story.began_at))
            if answers:
                self.fault("late_exposures", f"users got {answers} answers of the release after that", answers)
        failed = {kind: count for kind, count in self.story.failures.items() if kind not in _DIALLED}
        if failed and self.case.victim not in _OUTAGES:
            self.fault("failures", f"users' requests failed: {failed}", sum(failed.values()))


def exposure_of(version):
    """Per cent, as that version of the flag has it."""
    flag = version.flag
    return 0 if flag.killed or flag.split is None else int(flag.split.exposure_percent)
