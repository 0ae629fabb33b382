"""`python -m steward notices …`: what a person tries before a rollout has something to tell."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime

from steward.clients.telling import linked, tell_everybody
from steward.errors import BadInput, StewardError
from steward.notices.notice import Happened, Notice
from steward.notices.rendering import Templates, check_templates
from steward.settings import Settings


class NotTold(StewardError):
    """Somebody of the settings could not be told."""


def check_notices(settings: Settings, _chosen: argparse.Namespace) -> list[str]:
    """Render each template for everything that may happen. Raises TemplatesUnusable, NoticeUnfit."""
    rendered = check_templates(Templates(settings.notices.templates))
    targets = [f"{name} ({target.kind})" for name, target in settings.notices.targets.items()]
    return [
        f"every template says something of everything that may happen: {', '.join(rendered)}",
        f"told of rollouts: {', '.join(targets) or 'nobody'}",
    ]


def try_notices(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """Tell each target a notice that says it is a trial. Raises NotTold, BadInput where there is nobody."""
    if not settings.notices.targets:
        raise BadInput(
            "the settings name nobody who is told of rollouts", hint="add [notices.targets.…]: docs/notices.md"
        )
    trial = Notice(
        rollout=0,
        # Another id for each, so that no client of mail takes the second for a double of the first.
        environment=f"a trial at {datetime.now(UTC):%Y-%m-%d %H:%M:%S}",
        release="no release",
        flag="no flag",
        happened=Happened.BEGUN,
        reasons=("This is a trial: somebody asked whether notices reach you, and nothing happens.",),
        deployment_id=chosen.deployment,
    )
    # There is no rollout 0 to look at, but a list of all.
    page = linked(settings, trial).page_url.removesuffix("/0")
    told = tell_everybody(settings, trial.model_copy(update={"page_url": page}))
    missing = [f"{each.target}: {each.error}" for each in told if not each.ok]
    if missing:
        raise NotTold("; ".join(missing), hint="compare [notices] in the settings with docs/notices.md")
    return [f"{each.target} was told" for each in told]
