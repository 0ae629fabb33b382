"""A person's word on the step at which a rollout is, by the API or a command; the run that waits for it reads it there."""

from __future__ import annotations

from steward.clients import rollouts
from steward.clients.postgres import connect
from steward.clients.rollouts_said import say
from steward.clients.rollouts_shown import last_glance
from steward.rollout.record import Rollout, Saying
from steward.rollout.returning import By
from steward.rollout.words import require_asked
from steward.settings import Settings


def say_of(settings: Settings, rollout_id: int, saying: Saying, by: By) -> Rollout:
    """Enter it. Raises NoRollout, and NotAsked where nobody waits for it."""
    with connect(settings) as db:
        rollout = rollouts.read(db, rollout_id)
        require_asked(rollout, last_glance(db, rollout_id), saying)
        say(db, rollout, saying, who=by.who, why=by.why, via=by.via)
    return rollout
