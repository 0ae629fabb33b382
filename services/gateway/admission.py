"""What an attempt needs before its first byte may leave: room within the provider's limits, and a row in the ledger.

Both are asked for at once, since each waits for another server. Where there turns out to be no room the row is aborted, and
for a while that ring is asked first: a provider at its limit must not fill the ledger with attempts that were none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from services.gateway.asked import Request
from services.gateway.credentials import Credential, Credentials
from services.gateway.metrics import Metrics
from services.gateway.plans import Plan, limits_of
from steward.ai.attempts import Attempt, as_name, new_id
from steward.clients.attempts import AttemptLedger
from steward.ratelimit import AsyncLimiter, Policy, Ring, Ticket
from steward.ratelimit.errors import LimitReached, RateLimitError

#: A ticket is used within two seconds, right before a request's head is written, and what was written arrives within two.
POLICY = Policy(tenant_share=0.8, dispatch_seconds=4, transit_seconds=2)
#: How long a ring that had no room is asked before the ledger is.
TIGHT_SECONDS = 5.0

#: Sees to what nobody waits for.
Later = Callable[[Coroutine[Any, Any, None]], None]


@dataclass(frozen=True, slots=True)
class Admitted:
    """An attempt that may be sent, for as long as its ticket lives."""

    attempt: Attempt
    ticket: Ticket
    credential: Credential


class Admission:
    """Gives leave to send, for one worker."""

    def __init__(
        self, ledger: AttemptLedger, limiter: AsyncLimiter, credentials: Credentials, metrics: Metrics, later: Later
    ) -> None:
        self._ledger, self._limiter, self._credentials = ledger, limiter, credentials
        self._metrics, self._later = metrics, later
        self._tight_until: dict[str, float] = {}

    async def admit(self, request: Request, plan: Plan, ordinal: int, *, patience_seconds: float) -> Admitted:
        """Raises what the limiter raises, and DatabaseUnavailable; nothing may be sent then, and no row says otherwise."""
        wanted = _Wanted(request, plan, ordinal, self._credentials.of(plan.route.account))
        if time.monotonic() >= self._tight_until.get(wanted.ring.name, 0.0):
            try:
                return await self._at_once(wanted)
            except LimitReached:
                self._tight_until[wanted.ring.name] = time.monotonic() + TIGHT_SECONDS
                if not patience_seconds:
                    raise
        return await self._in_turn(wanted, patience_seconds)

    async def _at_once(self, wanted: _Wanted) -> Admitted:
        attempt, began = wanted.attempt(), time.monotonic()
        entry = self._ledger.begin_send(attempt)
        try:
            # The ledger takes longer: its statement leaves first.
            await asyncio.sleep(0)
            ticket = await self._ticket(wanted, 0.0)
        except BaseException as error:
            kind = "no_ticket" if isinstance(error, RateLimitError) else "withdrawn"
            self._later(self._ledger.withdraw(entry, kind))
            raise
        try:
            await self._ledger.entered(entry)
        except BaseException:
            self._later(self._limiter.cancel(ticket))
            raise
        self._metrics.waited("ledger", time.monotonic() - began)
        return Admitted(attempt, ticket, wanted.credential)

    async def _in_turn(self, wanted: _Wanted, patience_seconds: float) -> Admitted:
        ticket = await self._ticket(wanted, patience_seconds)
        attempt, began = wanted.attempt(), time.monotonic()
        try:
            await self._ledger.send(attempt)
        except BaseException:
            self._later(self._limiter.cancel(ticket))
            raise
        self._metrics.waited("ledger", time.monotonic() - began)
        return Admitted(attempt, ticket, wanted.credential)

    async def _ticket(self, wanted: _Wanted, patience_seconds: float) -> Ticket:
        caller, began = wanted.request.caller, time.monotonic()
        ticket = await self._limiter.acquire(
            wanted.ring,
            limits_of(wanted.plan.route),
            POLICY,
            caller.tenant,
            wanted.plan.most,
            patience_seconds=patience_seconds,
            weight=caller.weight,
        )
        self._metrics.waited("limiter", time.monotonic() - began)
        return ticket


@dataclass(frozen=True, slots=True)
class _Wanted:
    request: Request
    plan: Plan
    ordinal: int
    credential: Credential

    @property
    def ring(self) -> Ring:
        return Ring(f"{self.plan.provider}:{self.plan.route.name}")

    def attempt(self) -> Attempt:
        """Each time another: an id is used once."""
        plan, asked, caller = self.plan, self.request.asked, self.request.caller
        return Attempt(
            id=new_id(),
            request=self.request.id,
            ordinal=self.ordinal,
            tenant=caller.tenant,
            project=caller.project,
            key_id=caller.key_id,
            provider=plan.provider,
            account=plan.route.account,
            credential_version=self.credential.version,
            alias=asked.alias,
            model_asked=plan.route.model,
            tier_asked=as_name(asked.tier),
            is_stream=asked.is_stream,
            reserved_input=plan.most.input_tokens,
            reserved_output=plan.most.output_tokens,
        )
