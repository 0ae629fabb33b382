"""What the shop counts beside errors and slowness, from its handlers by the database and Prometheus to a verdict."""

from __future__ import annotations

import secrets
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from demo.shop.application import PUT_BY
from demo.shop.counts import Counts
from demo.shop.users import Load, coming
from replica import start, stop
from replica.servers import SERVERS
from steward.clients.application_host import open_application_host
from steward.clients.flag_errors import NoSuchFlag
from steward.clients.flag_kinds import read_kinds
from steward.clients.flag_outcomes import read_totals
from steward.clients.flag_store import change_flag, kill_flag, read_flag
from steward.clients.postgres import connect
from steward.clients.prometheus import open_prometheus
from steward.clients.rollouts_reading import read_step
from steward.rollout.judge import Decision, judge
from steward.rollout.plan import Better, Metric, Plan
from steward.rollout.preconditions import NotReady, require_counted
from steward.rollout.record import Rollout
from steward.rollout.state import State
from steward.rollout.weighing import Basis
from tests.integration.colours_ground import eventually
from tests.pushing import searching

pytestmark = pytest.mark.without_search

NEEDED = ("shop", "prometheus")
FLAG, COLOUR, RATE = "new-search", "green", 60
PLAN = Plan(
    steps=(50, 100),
    minimum_seconds=1,
    minimum_users=20,
    deadline_seconds=120,
    stale_seconds=15,
    metrics=(Metric(name=PUT_BY, better=Better.HIGHER, slo=0.1, bad_ratio=3, within_seconds=2),),
    guards=(),
)


@pytest.fixture(scope="module")
def place(replica):
    place = start.up(replica.state, SERVERS, list(NEEDED))
    yield place
    stop.down(place.state, SERVERS, list(NEEDED))


class PutBy(Counts):
    """And who put something by, with which variant."""

    def __init__(self) -> None:
        super().__init__()
        self.users = {"on": set(), "off": set()}

    def answered(self, user, path, answer):
        super().answered(user, path, answer)
        # Of the paths under /basket only what is put by tells of a variant.
        if path == "/basket" and answer.status == 200 and "x-variant" in answer.headers:
            self.users[answer.headers["x-variant"]].add(user)


class Step:
    """A rollout of its own, whose flag is at a step; nobody but the test looks at it."""

    def __init__(self, settings, release) -> None:
        self._settings, self._release, self.id = settings, release, secrets.randbelow(1 << 40)

    def expose(self, step):
        percent = PLAN.steps[step - 1]
        with connect(self._settings) as db:
            if step == 1:
                self._expose_nobody(db)
            version = read_flag(db, FLAG).version
            flag = searching(percent, rollout=str(self.id), step=step, slow_ms=10_000.0)
            change_flag(db, flag, who="ada", why="a test", expected_version=version)
        self._at = {"step": step, "exposure": percent, "step_begun_at": datetime.now(UTC)}

    def _expose_nobody(self, db):
        try:
            kill_flag(db, FLAG, who="ada", why="a test")
            version = read_flag(db, FLAG).version
        except NoSuchFlag:
            version = 0
        change_flag(db, searching(0, rollout="", step=0), who="ada", why="a test", expected_version=version)

    def decided(self, plan=PLAN):
        """The judgement that ends the step."""
        found, deadline = None, time.monotonic() + plan.deadline_seconds
        with open_prometheus(self._settings) as prometheus:
            while time.monotonic() < deadline:
                found = judge(read_step(self._settings, prometheus, self._rollout()), plan, time.time(), found)
                if found.decision in (Decision.GO, Decision.ROLL_BACK):
                    return found
                # As often as Prometheus asks the shop.
                time.sleep(1)
        raise AssertionError(found)

    def _rollout(self):
        left = dict.fromkeys(("who", "why", "withdrawn_at", "exposed_at", "ended_at", "slow_ms", "previous_release"))
        now = datetime.now(UTC)
        return Rollout(
            id=self.id,
            operation_id=1,
            environment="production",
            release=self._release,
            flag=FLAG,
            variant="on",
            plan=PLAN,
            state=State.EXPOSING,
            epoch=1,
            lease_seconds=60,
            lease_until=now,
            lease_left=60,
            colour=COLOUR,
            previous_colour="blue",
            begun_at=now,
            **left,
            **self._at,
        )

    def totals(self):
        with connect(self._settings) as db:
            told = read_totals(db, FLAG, str(self.id), 1)
        return {each.variant: each.users for each in told if each.kind == PUT_BY}


@contextmanager
def shopping(settings, release):
    """Users of *release*, with its flag at half of them; the step, and what they say that they put by."""
    step = Step(settings, release)
    with open_application_host(settings, "production") as host:
        url = host.place(COLOUR, release).url
        step.expose(1)
        try:
            with coming(Load(url=url, rate=RATE, seconds=600, think_seconds=0.05), PutBy()) as counts:
                yield step, counts
        finally:
            host.empty(COLOUR)


def test_a_metric_of_the_applications_own_lets_a_release_go_on_and_goes_on_being_looked_at(place, settings):
    with shopping(settings, "good") as (step, counts):
        half = step.decided()
        eventually(lambda: step.totals().get("on") and step.totals().get("off"), "put by in either arm")
        step.expose(2)
        # Long enough for some of them to have had their time.
        all_ = step.decided(PLAN.model_copy(update={"minimum_seconds": 6}))
        # Whoever puts something by from now on counts in the second step.
        first = step.totals()

    assert half.decision is Decision.GO, half.reasons
    assert all_.decision is Decision.GO, all_.reasons
    assert [each.weighed[0].basis for each in (half, all_)] == [Basis.RELATIVE, Basis.ABSOLUTE]
    assert all_.weighed[0].due_users > 0
    assert "tested against at least 10% of the" in all_.reasons[0]
    for variant, users in counts.users.items():
        assert 0 < first[variant] <= len(users)


def test_a_release_with_which_users_put_less_by_is_harm_though_nothing_fails_and_nothing_is_slow(place, settings):
    with shopping(settings, "fruitless") as (step, counts):
        found = step.decided()

    assert found.decision is Decision.ROLL_BACK
    assert found.reasons[0].startswith(f"harm: {PUT_BY}: ")
    assert set(counts.report().failures) <= {"500"}, "but for what any release has in store no request fails"
    # Each user once, with the variant that each was given.
    expected = {variant: len(users) for variant, users in counts.users.items() if users}
    eventually(lambda: step.totals() == expected, f"{expected} put by")


def test_a_metric_that_the_release_with_the_traffic_does_not_count_is_known_before_a_rollout(place, settings):
    with open_application_host(settings, "production") as host:
        host.place(COLOUR, "good")
        try:
            kinds = eventually(lambda: _kinds(settings), "kinds")
        finally:
            host.empty(COLOUR)

    assert kinds == {"exposed", "error", "slow", PUT_BY}
    require_counted([PUT_BY, "error", "slow"], kinds, COLOUR)
    with pytest.raises(NotReady, match="green does not count put_bye; it counts error, put_by, slow") as refused:
        require_counted(["put_bye"], kinds, COLOUR)
    assert refused.value.hint == "did you mean put_by?"
    with pytest.raises(NotReady, match="nobody tells what outcomes teal counts: nothing is there"):
        read_kinds(settings, "teal", 15)


def _kinds(settings):
    try:
        return read_kinds(settings, COLOUR, 15)
    except NotReady:
        return None
