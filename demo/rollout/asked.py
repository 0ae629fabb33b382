"""What the demo asks of a rollout: the shipped steps, and a plan that is decided in minutes by the users of one small machine."""

from __future__ import annotations

from typing import Any

from steward.rollout.gates import GatesNeeded
from steward.rollout.plan import Guard, Metric, Must, Plan
from steward.rollout.request import RolloutRequest

ENVIRONMENT = "production"
#: Each behind a flag of its own: what users have by the first is not taken from them for the second.
GOOD, GOOD_FLAG = "good", "new-search"
ERRING, ERRING_FLAG = "erring-ranking", "new-ranking"
#: Errors of the two tests are the shipped plan's. What is shorter proves less, and the demo says so (SHORTER).
PLAN = Plan(
    steps=(5, 25, 50, 100),
    minimum_seconds=5,
    minimum_users=30,
    deadline_seconds=300,
    blind_seconds=15,
    stale_seconds=10,
    look_seconds=2,
    # One user in a hundred errs, so two times as many are told from as many by twenty thousand of them: an hour, here.
    bad_ratio=5,
    # Once all are exposed nobody is left to compare with, and whatever else the machine does makes everybody slow: that is
    # left to the guard below.
    metrics=(Metric(name="error", slo=0.03), Metric(name="slow", slo=0.8)),
    # The shop's own failures, one search in a hundred, are more than the shipped guard lets be.
    guards=(
        Guard(name="availability", must=Must.AT_LEAST, bound=0.95),
        Guard(name="search_p95_ms", must=Must.AT_MOST, bound=250),
        Guard(name="health", must=Must.AT_LEAST, bound=1),
    ),
    bake_seconds=15,
    lease_seconds=20,
    renew_seconds=5,
)
_SHIPPED = Plan()
SHORTER = (
    f"the demo's plan is shorter than the shipped one: a step lasts at least {PLAN.minimum_seconds:g} s "
    f"({_SHIPPED.minimum_seconds:g}), the bake {PLAN.bake_seconds:g} s ({_SHIPPED.bake_seconds:g}), the lease "
    f"{PLAN.lease_seconds:g} s ({_SHIPPED.lease_seconds:g}),\n"
    f"and a release passes once it is shown not to be {PLAN.bad_ratio:g} times as bad ({_SHIPPED.bad_ratio:g} times)"
)
NO_GATES = "quality gates: no pipeline has proved these releases, so none is asked for; make demo-release shows that"


def request(release: str, flag: str, deployment: int) -> dict[str, Any]:
    """The form's fields, as Prefect takes them. *deployment*: at the GitHub that the demo's receivers stand for."""
    return RolloutRequest(
        release=release,
        flag=flag,
        environment=ENVIRONMENT,
        plan=PLAN,
        gates=GatesNeeded(gates=()),
        because="make demo-rollout",
        deployment=deployment,
    ).model_dump(mode="json")
