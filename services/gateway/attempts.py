"""One attempt at a provider, from its ticket to its settlement: entered before it is sent, and settled whatever becomes of it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

import httpx

from services.gateway.admission import Admission, Admitted
from services.gateway.asked import Asked, Request
from services.gateway.credentials import Credentials
from services.gateway.metrics import Metrics
from services.gateway.plans import Plan
from services.gateway.readings import Reading, reading_of
from steward.ai.attempts import Attempt, Bounds, Ending, Outcome, as_name
from steward.ai.errors import UsageUnreadable
from steward.ai.usage import Usage
from steward.clients.attempts import AttemptLedger
from steward.errors import StewardError
from steward.ratelimit import AsyncLimiter, Cost, Ring, Ticket, observed, retry_after_seconds
from steward.ratelimit.errors import TicketDied
from steward.settings import Settings

#: By it the provider's log, its support and our ledger speak of the same attempt.
ATTEMPT_HEADER = "x-client-request-id"
#: How often a worker takes over what a provider's headers say of one ring.
OBSERVE_SECONDS = 0.5

_log = logging.getLogger(__name__)


class NotAnswered(Exception):
    """The attempt came to nothing before the first token: another may be made."""

    def __init__(self, kind: str, *, is_fault: bool = True, retry_after_seconds: float | None = None) -> None:
        super().__init__(kind)
        self.kind = kind
        self.retry_after_seconds = retry_after_seconds
        """Of a provider that is at its limit."""
        self.is_fault = is_fault
        """Of the provider, as against ours."""


@dataclass(slots=True)
class Sent:
    """An attempt whose answer has begun."""

    attempt: Attempt
    plan: Plan
    ticket: Ticket
    response: httpx.Response
    sent_at: float
    reading: Reading
    first_token_ms: int | None = None
    is_over: bool = field(default=False)

    @property
    def milliseconds(self) -> int:
        """Since its first byte left."""
        return int((time.monotonic() - self.sent_at) * 1000)

    def token_came(self) -> None:
        """The first of them is timed."""
        if self.first_token_ms is None:
            self.first_token_ms = self.milliseconds


class Attempts:
    """Makes them, for one worker."""

    def __init__(
        self,
        settings: Settings,
        *,
        ledger: AttemptLedger,
        limiter: AsyncLimiter,
        credentials: Credentials,
        transport: httpx.AsyncHTTPTransport,
        timeout: httpx.Timeout,
        metrics: Metrics,
    ) -> None:
        self._ledger, self._limiter = ledger, limiter
        # Below httpx's client: no redirect is followed, no cookie kept, no proxy looked for.
        self._transport, self._timeout, self._metrics = transport, timeout.as_dict(), metrics
        self._urls = {name: httpx.URL(account.url) for name, account in settings.providers.items()}
        self._admission = Admission(ledger, limiter, credentials, metrics, self._later)
        self._ending: set[asyncio.Task[None]] = set()
        self._observed_at: dict[str, float] = {}

    async def send(self, request: Request, plan: Plan, ordinal: int, *, patience_seconds: float) -> Sent:
        """Be admitted, send, and wait for the head of the answer.

        Raises what the limiter raises, TicketDied and DatabaseUnavailable, nothing being sent then; NotAnswered.
        """
        admitted = await self._admission.admit(request, plan, ordinal, patience_seconds=patience_seconds)
        attempt, ticket = admitted.attempt, admitted.ticket
        said = self._said(admitted, request.asked, plan)
        sent_at = time.monotonic()
        try:
            async with asyncio.timeout(plan.route.first_byte_seconds if request.asked.is_stream else None):
                response = await self._transport.handle_async_request(said)
        except (TicketDied, httpx.HTTPError, TimeoutError, asyncio.CancelledError) as error:
            self._lost(attempt, ticket, plan, error)
            if isinstance(error, TicketDied | asyncio.CancelledError):
                raise
            raise NotAnswered(type(error).__name__) from None
        sent = Sent(attempt, plan, ticket, response, sent_at, reading_of(plan.provider))
        self._observe(ticket.ring, response, sent_at)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            self._later(self._limiter.throttled(ticket.ring, retry_after_seconds(response.headers) or 1.0))
        return sent

    def _observe(self, ring: Ring, response: httpx.Response, sent_at: float) -> None:
        """What the provider tells of its limits, now and then: each answer would tell nearly the same."""
        now = time.monotonic()
        if now < self._observed_at.get(ring.name, 0.0) + OBSERVE_SECONDS:
            return
        if seen := observed(response.headers, age_seconds=now - sent_at):
            self._observed_at[ring.name] = now
            self._later(self._limiter.observe(ring, seen))

    def _said(self, admitted: Admitted, asked: Asked, plan: Plan) -> httpx.Request:
        secret, attempt_id = admitted.credential.secret, str(admitted.attempt.id)
        headers = {"content-type": "application/json", ATTEMPT_HEADER: attempt_id, "accept-encoding": "identity"}
        if plan.provider == "anthropic":
            headers |= {"anthropic-version": "2023-06-01", **asked.headers, "x-api-key": secret}
        else:
            headers |= {"authorization": f"Bearer {secret}"}
        url = self._urls[plan.route.account].copy_with(path=plan.endpoint)
        extensions = {"timeout": self._timeout, "trace": _using(admitted.ticket)}
        return httpx.Request("POST", url, content=plan.body, headers=headers, extensions=extensions)

    def _lost(self, attempt: Attempt, ticket: Ticket, plan: Plan, error: BaseException) -> None:
        """There is no answer. Where the ticket was not used, no byte left: nobody was asked, and nothing is owed."""
        if not ticket.sent:
            self._metrics.attempt(plan.route.name, "not_sent")
            self._later(self._ledger.abort(attempt.id, type(error).__name__))
            self._later(self._limiter.cancel(ticket))
        elif isinstance(error, asyncio.CancelledError):
            self._unknown(attempt, plan, Outcome(ending=Ending.CANCELLED))
        else:
            timed_out = isinstance(error, httpx.TimeoutException | TimeoutError)
            ending = Ending.TIMED_OUT if timed_out else Ending.CUT
            self._unknown(attempt, plan, Outcome(ending=ending, error_class=type(error).__name__))

    # How it ends. Whoever answers a caller does not wait for it: the worker does, before it leaves.

    def completed(self, sent: Sent, usage: Usage) -> None:
        """Answered to the end."""
        self._settle(sent, self._outcome(sent, Ending.COMPLETED, usage=usage), usage)

    def refused(self, sent: Sent, kind: str | None) -> None:
        """The provider answered with an error, and is taken to have used nothing."""
        outcome = self._outcome(sent, Ending.REFUSED, usage=Usage(), error_class=kind)
        self._settle(sent, outcome, Usage())

    def broken(self, sent: Sent, ending: Ending, kind: str | None = None) -> None:
        """It ended before its usage was told: what was seen is the least, what was reserved the most."""
        if sent.is_over:
            return
        try:
            given = sent.reading.usage()
        except UsageUnreadable:
            given = None
        seen, most = sent.reading.tokens, max(sent.attempt.reserved_output, sent.reading.tokens)
        usage = replace(
            given or Usage(input_uncached=sent.attempt.reserved_input), output=seen, reasoning=0, audio_output=0
        )
        bounds = Bounds(given.input if given else 0, usage.input, seen, most)
        outcome = self._outcome(sent, ending, usage=usage, bounds=bounds, error_class=kind)
        # What may have been used counts: only what is known not to be comes back.
        self._settle(sent, outcome, replace(usage, output=most))

    def _settle(self, sent: Sent, outcome: Outcome, counted: Usage) -> None:
        if sent.is_over:
            return
        sent.is_over = True
        self._metrics.ended(sent.plan.route.name, outcome)
        self._later(self._ledger.settle(sent.attempt.id, outcome))
        self._later(self._limiter.settle(sent.ticket, Cost(1, counted.input, counted.output)))

    def _unknown(self, attempt: Attempt, plan: Plan, outcome: Outcome) -> None:
        self._metrics.attempt(plan.route.name, str(outcome.ending))
        self._later(self._ledger.unknown(attempt.id, outcome))

    def _outcome(
        self,
        sent: Sent,
        ending: Ending,
        *,
        usage: Usage,
        bounds: Bounds | None = None,
        error_class: str | None = None,
    ) -> Outcome:
        reading = sent.reading
        named = sent.response.headers.get("request-id") or sent.response.headers.get("x-request-id")
        return Outcome(
            ending=ending,
            http_status=sent.response.status_code,
            provider_request_id=as_name(named or reading.request_id),
            model_served=as_name(reading.model),
            tier_served=as_name(reading.tier),
            first_token_ms=sent.first_token_ms,
            latency_ms=sent.milliseconds,
            usage=usage,
            bounds=bounds,
            error_class=as_name(error_class),
        )

    def _later(self, ending: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(_told(ending))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def all_ended(self) -> None:
        """Before the worker leaves: everything it knows is in the ledger."""
        while self._ending:
            await asyncio.wait(self._ending)


def _using(ticket: Ticket) -> Callable[[str, Any], Awaitable[None]]:
    """Right before the head is written, with the connection there: making one may have taken longer than a ticket lives."""

    async def trace(event: str, _info: Any) -> None:
        if event == "http11.send_request_headers.started":
            ticket.send()

    return trace


async def _told(ending: Coroutine[Any, Any, None]) -> None:
    try:
        await ending
    except StewardError as error:
        # The sweeper finds what is left open; the ring forgets a reservation by itself.
        _log.warning("an ending was not recorded: %s", error.message)
