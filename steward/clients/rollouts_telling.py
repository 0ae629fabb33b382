"""Telling stakeholders of a way back after a rollout's end, for whoever has no ledger to note what was told."""

from __future__ import annotations

from steward.clients.telling import tell_everybody
from steward.notices.notice import Happened, Notice, Told
from steward.rollout.returning import Returned
from steward.settings import Settings


def tell_of_return(settings: Settings, returned: Returned) -> list[Told]:
    """By whoever ended it, in about ten seconds; nothing is raised. Of a rollout under way its own run tells."""
    return tell_everybody(settings, notice_of(settings, returned)) if returned.ended_here else []


def notice_of(settings: Settings, returned: Returned) -> Notice:
    """That a release which had proved itself was taken back."""
    pages = settings.notices.pages or (settings.flags.url if settings.flags else "")
    return Notice(
        rollout=returned.rollout or 0,
        environment=returned.environment,
        release=returned.left,
        flag=returned.flag or "unknown",
        happened=Happened.ROLLED_BACK,
        reasons=(f"{returned.who}: {returned.why}", f"{returned.to or 'what was before'} has the traffic again"),
        # There is no page of rollout 0, but a list of all.
        page_url=f"{pages}/rollouts" if pages and not returned.rollout else "",
        had_proved_itself=True,
    )
