"""A release is put beside the one that has the traffic, warmed, and given the traffic with its flag off for everybody."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from prefect.logging import get_run_logger

from steward.clients import roll_backs, rollouts
from steward.clients.application_host import Placed, open_application_host
from steward.clients.colours import Colour, Warmth
from steward.clients.flag_kinds import read_kinds
from steward.clients.flag_store import StoredFlag, flag_history, read_flag
from steward.clients.flags_served import require_served
from steward.clients.haproxy import LoadBalancer, open_balancer
from steward.clients.haproxy_errors import NotDrained
from steward.clients.postgres import connect
from steward.clients.rollouts_exposure import require_free, take_flag, variant_of
from steward.clients.rollouts_reading import read_baseline
from steward.clients.rollouts_releases import note_placed
from steward.clients.rollouts_withdrawal import give_back
from steward.errors import StewardError
from steward.flags.agreement import Agreement, agreement, rehearsal, require_agreement, sample
from steward.operations.holding import guard
from steward.rollout.errors import RolloutEnded, RolloutWithdrawn
from steward.rollout.gates import GatesReport, assess_gates
from steward.rollout.preconditions import (
    Preconditions,
    colours_of,
    require_counted,
    require_gates,
    require_release,
)
from steward.rollout.record import Rollout
from steward.rollout.request import RolloutRequest
from steward.settings import Settings, load
from tasks.durable import operation, step
from tasks.rollout_gates import gates_of
from tasks.rollouts import acting, read_rollout

_AGREEMENT = Path(str(files("deployments"))) / "flags" / "agreement"
#: Users about whom SDKs of both languages are asked, in each state of the flag.
_USERS_ASKED = 2_000
#: How long the release may take to be healthy, as the load balancer sees it, and the old colour to serve to its end.
_UP_SECONDS, _DRAIN_SECONDS = 60.0, 30.0
_HEALTH_CHECKS, _BETWEEN_CHECKS_SECONDS = 20, 0.1
_WARM_ROUNDS = 20


@step("check preconditions", run_name="check preconditions of {request.release}")
def check_preconditions(request: RolloutRequest) -> Preconditions:
    """Whatever speaks against beginning, before anything is touched. Raises BadInput, SdksDisagree."""
    settings = load()
    stored, gates = _recorded(settings, request)
    require_gates(gates)
    require_served(settings)
    idle, live = _colours(settings, request.environment)
    with open_application_host(settings, request.environment) as host:
        runs = host.colour(live).release
        require_release(request.release, host.releases(), runs)
    counted = read_kinds(settings, live, request.plan.stale_seconds)
    require_counted((each.name for each in request.plan.metrics), counted, live)
    variant = variant_of(stored.flag, request.variant)
    agreed = _agreement(stored, variant, request)
    require_agreement(agreed)
    return Preconditions(
        colour=idle,
        previous_colour=live,
        previous_release=runs,
        variant=variant,
        slow_ms=read_baseline(settings, request.plan, live),
        gates=gates,
        agreement=str(agreed),
    )


def _recorded(settings: Settings, request: RolloutRequest) -> tuple[StoredFlag, GatesReport]:
    with connect(settings) as db:
        rollouts.refuse_beside(rollouts.under_way(db, request.environment))
        roll_backs.refuse_beside(db, request.environment)
        stored = read_flag(db, request.flag)
        require_free(stored, flag_history(db, request.flag)[0])
        had = gates_of(db, settings, request.release)
    return stored, assess_gates(request.gates, had, request.release, datetime.now(UTC))


def _colours(settings: Settings, environment: str) -> tuple[str, str]:
    """The idle one, and the one that has the traffic."""
    servers = open_balancer(settings, environment).servers()
    return colours_of((each.name for each in servers if each.serves), (each.name for each in servers))


def _agreement(stored: StoredFlag, variant: str, request: RolloutRequest) -> Agreement:
    states = rehearsal(stored.flag, variant, request.plan.steps, time.time())
    return agreement(states, sample(_USERS_ASKED), _AGREEMENT)


@step("begin rollout", run_name="begin the rollout of {request.release}")
def begin_rollout(request: RolloutRequest, found: Preconditions) -> Rollout:
    """From here it is on record, and one alone of its environment. Raises RolloutUnderWay."""
    with connect(load()) as db:
        return rollouts.begin(
            db,
            operation_id=operation().id,
            epoch=operation().token,
            environment=request.environment,
            release=request.release,
            flag=request.flag,
            variant=found.variant,
            plan=request.plan,
            colours=(found.colour, found.previous_colour),
            previous_release=found.previous_release,
        )


@step("place release")
def place_release(rollout_id: int) -> Placed:
    """On the idle colour, which gets nothing from the load balancer meanwhile. Raises ReleaseDidNotStart."""
    with acting(rollout_id) as (db, rollout):
        note_placed(db, rollout)
    settings = load()
    guard()
    open_balancer(settings, rollout.environment).drain(rollout.colour)
    with open_application_host(settings, rollout.environment) as host:
        guard()
        return host.place(rollout.colour, rollout.release)


@step("warm up")
def warm_up(rollout_id: int) -> Warmth:
    """Ask for what users ask for, so that the first of them does not wait. Raises ColourNotWell."""
    rollout = read_rollout(rollout_id)
    settings = load()
    with _colour(settings, rollout) as colour:
        return colour.warm(settings.application_host(rollout.environment).warm, _WARM_ROUNDS)


@step("check health")
def check_health(rollout_id: int) -> int:
    """All of some checks pass, its own and the load balancer's. Raises ColourNotWell, ServerNotUp."""
    rollout = read_rollout(rollout_id)
    settings = load()
    with _colour(settings, rollout) as colour:
        passed = colour.check_health(_HEALTH_CHECKS, _BETWEEN_CHECKS_SECONDS)
    open_balancer(settings, rollout.environment).wait_up(rollout.colour, _UP_SECONDS)
    return passed


def _colour(settings: Settings, rollout: Rollout) -> Colour:
    """The release past the load balancer, if it is what runs there. Raises WrongRelease."""
    with open_application_host(settings, rollout.environment) as host:
        placed = host.colour(rollout.colour)
    if placed.release != rollout.release:
        raise WrongRelease(
            f"{rollout.colour} runs {placed.release or 'nothing'}, expected {rollout.release}",
            hint="somebody put something else there while the rollout was prepared: find out who, then begin anew",
        )
    return Colour(placed.colour, placed.url)


class WrongRelease(StewardError):
    """The colour has another release than the one that is rolled out."""


@step("switch over")
def switch_over(rollout_id: int, slow_ms: float) -> int:
    """All new requests to the release, with its flag off for everybody; requests that were left unfinished."""
    with acting(rollout_id) as (db, held):
        rollout = rollouts.freeze_slow(db, take_flag(db, held), slow_ms)
    balancer = open_balancer(load(), rollout.environment)
    guard()
    balancer.direct(rollout.colour)
    _require_held(rollout, balancer)
    try:
        balancer.wait_drained(rollout.previous_colour, _DRAIN_SECONDS)
    except NotDrained as left:
        # They are served to their end all the same: nothing new comes to it.
        get_run_logger().warning("%s", left.message)
    return balancer.connections(rollout.previous_colour)


def _require_held(rollout: Rollout, balancer: LoadBalancer) -> None:
    """That nobody took it back meanwhile: they may have given the traffic back before it was sent here."""
    try:
        with acting(rollout.id):
            pass
    except (RolloutEnded, RolloutWithdrawn):
        give_back(balancer, rollout)
        raise
