"""What befalls questions that are no attempts: lists of models, and the administration."""

from __future__ import annotations

from replica.providers.exchange import Exchange, Gone
from replica.providers.twin import Twin


async def befall(twin: Twin, provider: str, account: str, exchange: Exchange) -> None:
    """A provider that is dark, slow or in trouble is so whatever it is asked. Raises Gone, or the Refusal that is answered."""
    effects = twin.dials.standing(provider, account)
    await exchange.pause(effects.latency_seconds)
    if effects.hang_seconds is not None:
        await exchange.pause(effects.hang_seconds)
    if effects.dark or effects.hang_seconds is not None:
        await exchange.cut()
        raise Gone
    if effects.status is not None:
        raise effects.failure()
