"""The events that a trigger may wait for. A trigger for an event that nobody sends never fires, and nothing says so."""

from __future__ import annotations

#: Sent by the flows, the watch and the dispatcher of webhooks.
SENT = frozenset(
    {
        "steward.ai.budget.alert",
        "steward.ai.budget.stop",
        "steward.ai.costs.refuted",
        "steward.ai.costs.unknown",
        "steward.ai.costs.verified",
        "steward.ai.key_rotated",
        "steward.ai.limits.compared",
        "steward.ai.provider_down",
        "steward.ai.provider_recovered",
        "steward.ai.provider_refused",
        "steward.ai.sealed",
        "steward.deploy.refused",
        "steward.deploy.requested",
        "steward.keyring.backed_up",
        "steward.recovery.refuted",
        "steward.recovery.unknown",
        "steward.recovery.verified",
        "steward.release.refuted",
        "steward.release.unknown",
        "steward.release.verified",
        "steward.rollout.certified",
        "steward.rollout.returned",
        "steward.rollout.rolled-back",
        "steward.search.compared",
        "steward.search.provisioned",
        "steward.snapshot.refuted",
        "steward.snapshot.unknown",
        "steward.snapshot.verified",
        "steward.tenant.erased",
        "steward.tenant.onboarded",
        "steward.webhooks.reconciled",
    }
)
#: Sent by people and other systems, to ask for something.
ASKED = frozenset(
    {
        "steward.ai.costs.restated",
        "steward.keys.compromise.suspected",
        "steward.keys.rotation.requested",
        "steward.rollout.requested",
        "steward.rollout.return-requested",
        "steward.snapshot.requested",
    }
)
KNOWN = SENT | ASKED
