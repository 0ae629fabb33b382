"""Parts that a platform may do without, and whether these settings have them."""

from __future__ import annotations

from enum import StrEnum

from steward.settings.webhooks import GitHubSource
from steward.settings.whole import Settings


class Part(StrEnum):
    """By the table of the settings that makes it."""

    APPLICATIONS = "[applications.NAME]"
    COSTS = "[costs]"
    GATEWAY = "[gateway]"
    GITHUB_HOOK = "[webhooks.sources.NAME.api] with its hook"
    KEYRING = "[keyring] and [vault]"


def has(settings: Settings, part: Part) -> bool:
    """Whether there is anything of it: what recurs for its sake alone has nothing to do without it."""
    match part:
        case Part.APPLICATIONS:
            return bool(settings.applications)
        case Part.COSTS:
            return settings.costs is not None
        case Part.GATEWAY:
            return settings.gateway is not None
        case Part.GITHUB_HOOK:
            sources = settings.webhooks.sources.values() if settings.webhooks else ()
            return any(isinstance(each, GitHubSource) and each.api and each.api.hook for each in sources)
        case Part.KEYRING:
            return settings.keyring is not None and settings.vault is not None
