"""The twins as the settings name them: `openai` and `anthropic`, with the keys and the administration that they begin with."""

from __future__ import annotations

from steward.settings import Provider, Settings
from tests.testbed.providers.ground import PROJECT, WORKSPACE, Twins


def accounts(twins: Twins) -> dict[str, Provider]:
    """As `[providers]` has them."""
    return {
        "openai": Provider(
            kind="openai",
            url=twins.openai_url.removesuffix("/v1"),
            key=f"file:{twins.secret_file('o1')}",
            admin_key=f"file:{twins.secret_file('openai-main.admin')}",
            project=PROJECT,
        ),
        "anthropic": Provider(
            kind="anthropic",
            url=twins.anthropic_url,
            key=f"file:{twins.secret_file('a1')}",
            admin_key=f"file:{twins.secret_file('anthropic-main.admin')}",
            project=WORKSPACE,
        ),
    }


def with_accounts(settings: Settings, twins: Twins, **changed: dict[str, object]) -> Settings:
    """*settings* with both of them; `openai={"url": …}` changes one."""
    known = accounts(twins)
    providers = {name: each.model_copy(update=changed.get(name, {})) for name, each in known.items()}
    return settings.model_copy(update={"providers": providers})
