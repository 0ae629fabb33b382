"""One request through the routes of its alias: asked in turn until one answers, and passed on from its first token."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus

import httpx
import msgspec

from services.gateway import answers
from services.gateway.asked import Asked, Request
from services.gateway.attempts import Attempts, NotAnswered, Sent
from services.gateway.errors import Fault, stopped, unavailable
from services.gateway.events import Event, Events, EventTooLong
from services.gateway.health import HealthBoard
from services.gateway.plans import Plan, plan
from services.gateway.readings import StreamFailed, error_class
from services.gateway.stops import Stops
from steward.ai.attempts import Ending
from steward.ai.catalog import Catalog
from steward.ai.errors import UsageUnreadable
from steward.ai.health import UNUSED, Door
from steward.ai.retries import RetryBudget
from steward.ai.routing import order
from steward.ai.translation.errors import NotTranslatable
from steward.clients.postgres import DatabaseUnavailable
from steward.ratelimit import retry_after_seconds
from steward.ratelimit.errors import LimiterUnavailable, LimitReached, NeverFits, TicketDied
from steward.settings import Settings

#: How long a request waits for room where every route is at its limit; the caller's own client waits longer.
PATIENCE_SECONDS = 1.0
#: An attempt's whole answer; the ledger takes what it used until a quarter of an hour after its hour.
MOST_SECONDS = 600.0
#: Answers that are the provider's trouble and not the caller's: asked elsewhere.
_TROUBLE = frozenset({401, 403, 404, 408, 409, *range(500, 600)})


@dataclass(slots=True)
class Whole:
    """An answer to be said in one piece, a provider's refusal of the request too."""

    status: int
    body: bytes


class _NotAsked(Exception):
    """Nothing was sent to a route, for no fault of its own."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


class Exchange:
    """All that a worker needs to serve requests."""

    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        attempts: Attempts,
        health: HealthBoard,
        budget: RetryBudget,
        *,
        stops: Stops,
    ) -> None:
        self._kinds = {name: account.kind for name, account in settings.providers.items()}
        self._catalog, self._attempts, self._health, self._budget = catalog, attempts, health, budget
        self._stops = stops
        self._chosen = random.Random()  # noqa: S311  which route is asked is no secret

    async def answer(self, request: Request) -> Whole | AsyncGenerator[bytes]:
        """A whole answer, or a stream whose first token is there. Raises Fault where no route gave any."""
        asked = request.asked
        plans, spared = await self._sparing(self._plans(asked))
        self._budget.request()
        not_asked: list[Fault] = []
        failures: list[NotAnswered] = []
        for each in [*plans, *spared]:
            if failures:
                if not self._budget.retry():
                    break
            elif each in spared:
                # There was no room elsewhere: to fail here would help nobody.
                break
            try:
                sent = await self._sent(request, each, len(failures) + 1, last=each is plans[-1])
                return await self._begun(asked, sent)
            except _NotAsked as why:
                not_asked.append(why.fault)
            except NotAnswered as failed:
                failures.append(failed)
                if failed.is_fault:
                    self._health.failed(each.route.name)
        raise _none(failures, not_asked)

    def _plans(self, asked: Asked) -> list[Plan]:
        routes = self._catalog.routes(asked.alias)
        if not routes:
            raise Fault(404, "missing", "the gateway knows no such model; GET /v1/models lists those it knows")
        plans: list[Plan] = []
        why = ""
        for route in order(routes, self._health.now, self._chosen):
            try:
                plans.append(plan(asked, route, self._kinds[route.account]))
            except NotTranslatable as refused:
                why = refused.message
        if not plans:
            raise Fault(400, "invalid", f"no route of this model can be asked that: {why}")
        if not (open_ := [each for each in plans if not self._stops.has_account(each.route.account)]):
            raise stopped("every provider that could answer")
        return open_

    async def _sparing(self, plans: list[Plan]) -> tuple[list[Plan], list[Plan]]:
        """(whom to ask, who is spared until one of them fails): shut routes, but for one if it is time to see how it is."""
        shut = [each for each in plans if self._health.now.get(each.route.name, UNUSED).door is Door.SHUT]
        if len(shut) == len(plans):
            return plans, []
        opened = [each for each in plans if each not in shut]
        for each in shut:
            # One is enough: whoever asks for another would have its turn, and not take it.
            if await self._health.may_probe(each.route.name):
                return [each, *opened], [other for other in shut if other is not each]
        return opened, shut

    async def _sent(self, request: Request, each: Plan, ordinal: int, *, last: bool) -> Sent:
        try:
            # Whoever can be asked elsewhere does not wait for room here.
            patience = PATIENCE_SECONDS if last else 0.0
            return await self._attempts.send(request, each, ordinal, patience_seconds=patience)
        except NeverFits as never:
            raise Fault(400, "invalid", never.message) from None
        except LimitReached as limit:
            raise _NotAsked(Fault(429, "limited", limit.message, limit.retry_after_seconds)) from None
        except LimiterUnavailable:
            # Of this route: another one's count may lie on a host that is well.
            raise _NotAsked(unavailable("nobody knows what is left of the provider's limit")) from None
        except DatabaseUnavailable:
            raise unavailable("the ledger cannot be written, and nothing is sent without it") from None
        except TicketDied:
            raise _NotAsked(unavailable("this worker is too busy to send in time")) from None

    async def _begun(self, asked: Asked, sent: Sent) -> Whole | AsyncGenerator[bytes]:
        """Raises NotAnswered while nothing has been said to the caller."""
        if sent.response.status_code >= HTTPStatus.BAD_REQUEST:
            return await self._refused(asked, sent)
        if not asked.is_stream:
            return await self._whole(asked, sent)
        stream = self._stream(asked, sent)
        try:
            first = await anext(stream)
        except StopAsyncIteration:
            raise NotAnswered("empty") from None
        return _from(first, stream)

    async def _refused(self, asked: Asked, sent: Sent) -> Whole:
        status = sent.response.status_code
        raw = await self._read(sent)
        kind = error_class(raw)
        self._attempts.refused(sent, kind)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            after = retry_after_seconds(sent.response.headers) or 1.0
            raise NotAnswered(kind or str(status), is_fault=False, retry_after_seconds=after)
        if status in _TROUBLE:
            raise NotAnswered(kind or str(status))
        self._health.answered(sent.plan.route.name, 0)
        if sent.plan.is_translated:
            return Whole(
                status, answers.fault_body(asked.endpoint.speaks, Fault(status, "invalid", f"refused: {kind}"))
            )
        return Whole(status, raw)

    async def _whole(self, asked: Asked, sent: Sent) -> Whole:
        raw = await self._read(sent)
        sent.token_came()
        try:
            told = msgspec.json.decode(raw)
            usage = sent.reading.whole(told)
            body = answers.whole(asked, sent.plan, raw, told)
        except (msgspec.DecodeError, UsageUnreadable, AttributeError, KeyError, TypeError, IndexError):
            self._attempts.broken(sent, Ending.TRUNCATED, "unreadable")
            raise NotAnswered("unreadable") from None
        self._attempts.completed(sent, usage)
        self._health.answered(sent.plan.route.name, sent.first_token_ms or 0)
        return Whole(sent.response.status_code, body)

    async def _read(self, sent: Sent) -> bytes:
        try:
            async with asyncio.timeout(MOST_SECONDS):
                return await sent.response.aread()
        except (httpx.HTTPError, TimeoutError) as error:
            ending = Ending.TIMED_OUT if isinstance(error, httpx.TimeoutException | TimeoutError) else Ending.CUT
            self._attempts.broken(sent, ending, type(error).__name__)
            raise NotAnswered(type(error).__name__) from None
        finally:
            await sent.response.aclose()

    async def _stream(self, asked: Asked, sent: Sent) -> AsyncGenerator[bytes]:
        """The first piece holds the first token and all before it; what comes to nothing before that raises NotAnswered.

        However it is left (the caller gone, the provider cut off), the attempt is settled with what is known.
        """
        said, held, ending, kind = answers.said(asked, sent.plan), b"", Ending.CANCELLED, ""
        try:
            async for events in _events(sent):
                for event in events:
                    told = sent.reading.feed(event)
                    held += said.event(event, told)
                if sent.reading.tokens or sent.reading.is_whole:
                    sent.token_came()
                    if held:
                        piece, held = held, b""
                        yield piece
            ending, kind = (Ending.COMPLETED, "") if sent.reading.is_whole else (Ending.TRUNCATED, "truncated")
            if sent.reading.is_whole:
                yield held + said.end()
        except StreamFailed as failed:
            ending, kind = Ending.CUT, failed.kind
        except (httpx.HTTPError, EventTooLong, msgspec.DecodeError, KeyError, TypeError, AttributeError) as error:
            ending = Ending.TIMED_OUT if isinstance(error, httpx.TimeoutException) else Ending.CUT
            kind = type(error).__name__
        finally:
            await self._over(sent, ending, kind)
        if ending is Ending.COMPLETED:
            return
        if sent.first_token_ms is None:
            raise NotAnswered(kind)
        self._health.failed(sent.plan.route.name)
        fault = Fault(502, "upstream", f"the provider's answer broke off: {kind}")
        yield answers.fault_event(asked.endpoint.speaks, fault)

    async def _over(self, sent: Sent, ending: Ending, kind: str) -> None:
        try:
            await sent.response.aclose()
        finally:
            try:
                usage = sent.reading.usage() if ending is Ending.COMPLETED else None
            except UsageUnreadable:
                usage, ending, kind = None, Ending.TRUNCATED, "no usage"
            if usage is None:
                self._attempts.broken(sent, ending, kind or None)
            else:
                self._attempts.completed(sent, usage)
                self._health.answered(sent.plan.route.name, sent.first_token_ms or 0)


async def _events(sent: Sent) -> AsyncIterator[list[Event]]:
    taken = Events()
    async for data in sent.response.aiter_raw():
        if sent.milliseconds > 1000 * MOST_SECONDS:
            raise StreamFailed("too_long")
        if events := taken.feed(data):
            yield events


async def _from(first: bytes, stream: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    try:
        yield first
        async for piece in stream:
            yield piece
    finally:
        await stream.aclose()


def _none(failures: Sequence[NotAnswered], not_asked: Sequence[Fault]) -> Fault:
    """What a caller is told where no route answered: when to come back, where all that was missing was room."""
    waits = [each.retry_after_seconds for each in failures]
    limited = [Fault(429, "limited", "the provider is at its limit", wait) for wait in waits if wait is not None]
    if len(limited) == len(failures):
        return min((*limited, *not_asked), key=lambda fault: fault.retry_after_seconds or 0.0)
    return Fault(502, "upstream", f"no provider answered, in {len(failures)} attempts", 1.0)
