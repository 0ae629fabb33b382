"""Looks at a step, as a judge is given them, and what he decides."""

from steward.rollout.judge import judge
from steward.rollout.plan import Better, Metric, Plan
from steward.rollout.readings import ArmCounts, Override, Reading, Sample

BEGUN, NOW = 1_000.0, 1_300.0
ERRORS = Metric(name="error", slo=0.01)
#: What users should do, within a time: more is better.
DONE = Metric(name="error", slo=0.1, better=Better.HIGHER, bad_ratio=1.5, within_seconds=30)
PLAN = Plan()
# Looked at as rarely as when it was first measured.
ERRORS_ONLY = Plan(metrics=(ERRORS,), look_seconds=5)
WELL = {"availability": 1.0, "search_p95_ms": 40.0, "health": 1.0}
#: Alike: 1% of users err, 5% are slow, in either arm.
GOOD = {"on": (1500, 15, 75), "off": (28_500, 285, 1425)}
#: Five times as many err as of the others.
WORSE = (1500, 75, 75)
WORD = Override(step=1, who="ann", why="nobody comes at night", at=NOW)


def sample(value, at=NOW):
    return Sample(value=value, at=at)


def arm(users, error, slow=0, at=NOW):
    return ArmCounts(users=sample(users, at), hits={"error": sample(error, at), "slow": sample(slow, at)})


def look(on=GOOD["on"], off=GOOD["off"], *, at=NOW, guards=None, **more):
    return Reading(
        **{
            "step": 1,
            "exposure": 5,
            "begun_at": BEGUN,
            "on": arm(*on, at=at),
            "off": arm(*off, at=at),
            "guards": {name: sample(value, at) for name, value in (WELL | (guards or {})).items()},
        }
        | more
    )


def decision(reading, plan=PLAN, now=NOW, before=None):
    return judge(reading, plan, now, before).decision
