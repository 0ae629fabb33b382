"""A receiver's process: what it stands on, and how it listens."""

from __future__ import annotations

import uvicorn

from services.webhooks.receiver import Receiver
from steward.errors import BadInput
from steward.settings import Settings, Webhooks
from steward.webhooks.rules import read_rules

#: A delivery is stored by then, or its sender is told that it is not.
_LEAVING_SECONDS = 8
#: Between deliveries of one sender's connection, or of the load balancer's.
_KEEP_ALIVE_SECONDS = 75


def serve(settings: Settings, *, port: int) -> None:
    """Until SIGTERM or SIGINT. Raises BadInput for settings or rules that no receiver can be made of."""
    webhooks = demand_webhooks(settings)
    uvicorn.run(
        Receiver(settings, webhooks, read_rules(webhooks.rules).events_of).application(),
        host="127.0.0.1",
        port=port,
        loop="uvloop",
        http="httptools",
        # Every delivery is a row, every refusal a line: an access log would say nothing more.
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_LEAVING_SECONDS,
    )


def demand_webhooks(settings: Settings) -> Webhooks:
    """Raises BadInput where the settings name no sender."""
    if settings.webhooks is None or not settings.webhooks.sources:
        raise BadInput(
            "the settings tell of no sender of webhooks", hint="add [webhooks] and its sources; docs/webhooks.md"
        )
    return settings.webhooks
