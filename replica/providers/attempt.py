"""One attempt at an inference endpoint, from its first byte to its row in the truth; the same for both providers.

Order: read, note the arrival, refuse what is unfit, draw what goes wrong, count it against the limits, answer. What a
caller that leaves has to pay: the prompt and what was written until then; of an answer in one piece, all of it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from replica.providers import composing, dials
from replica.providers.api import Api, Event, Request, Served
from replica.providers.composing import Composed
from replica.providers.configuration import Account
from replica.providers.dials import Effects
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange, Gone
from replica.providers.keys import INFERENCE, ApiKey
from replica.providers.limits import Entry, Excess, Log
from replica.providers.prompt_cache import Plan, Split
from replica.providers.truth import Arrival, End
from replica.providers.twin import Twin

_log = logging.getLogger("replica.providers")


@dataclass(slots=True)
class _Under:
    """An attempt under way."""

    twin: Twin
    api: Api
    exchange: Exchange
    arrival: Arrival
    request: Request | None = None
    account: Account | None = None
    seq: int = 0
    request_id: str = ""
    end: End = field(default_factory=lambda: End(0, "dropped"))
    log: Log | None = None
    entry: Entry | None = None
    recorded: bool = False

    def record(self) -> None:
        """Once, and before the caller hears the end: whoever settles what he reserved may ask again at that moment, and no
        kill may leave an answer that was given without its row.
        """
        if self.recorded:
            return
        self.recorded = True
        if self.log and self.entry:
            self.log.correct(self.entry, self.end.output)
        self.twin.truth.ended(self.seq, self.end)

    def headers(self) -> dict[str, str]:
        levels = self.log.levels(self.twin.oracle.now()) if self.log else []
        return self.api.headers(self.account, self.arrival.project, self.request_id, levels)


async def serve(twin: Twin, api: Api, exchange: Exchange) -> None:
    """Answer *exchange*, and put it on record."""
    arrival = Arrival(api.provider, api.endpoint, exchange.headers.get("x-client-request-id", ""))
    under = _Under(twin, api, exchange, arrival)
    problem: Refusal | None = None
    try:
        await _read(under)
    except Refusal as refusal:
        problem = refusal
    except Gone:
        return
    except Exception:  # noqa: BLE001 -- a fault of the twin's own is an attempt too: it came in, and goes on record
        _log.exception("reading a request for %s", api.endpoint)
        problem = Refusal(500, "The twin itself failed; its log says more.")
    under.seq, under.request_id = twin.truth.arrived(arrival)
    try:
        await (_refuse(under, problem) if problem else _attempt(under))
    except Gone:
        # Whoever leaves after the last byte has had it all.
        under.end.outcome = "abandoned" if under.end.outcome == "dropped" else under.end.outcome
    except Exception:
        under.end.status, under.end.outcome, under.end.billed = 500, "failed", False
        raise
    finally:
        under.record()


async def _read(under: _Under) -> None:
    content = await under.exchange.body(under.twin.configuration.body_bytes)
    key = _authenticate(under)
    under.account = under.twin.accounts[key.account]
    under.arrival.account, under.arrival.project, under.arrival.key_id = key.account, key.project, key.id
    under.request = under.api.read(under.exchange, content)
    under.arrival.stream = under.request.stream
    under.arrival.model_asked = under.request.body["model"]
    under.arrival.tier_asked = under.request.tier_asked


def _authenticate(under: _Under) -> ApiKey:
    key = under.twin.keys.find(under.api.provider, under.api.secret(under.exchange))
    if key is None or key.state in {"expired", "deleted", "archived", "inactive"}:
        raise Refusal(401, "", code="invalid_api_key")
    if key.role != INFERENCE:
        raise Refusal(403, "You have insufficient permissions for this operation.", code="insufficient_permissions")
    under.twin.keys.used(key)
    return key


async def _refuse(under: _Under, refusal: Refusal) -> None:
    under.end = End(refusal.status, _outcome(refusal.status))
    body = under.api.refusal(refusal, under.request_id)
    under.record()
    await under.exchange.answer(refusal.status, body, {**under.headers(), **refusal.headers})


def _outcome(status: int) -> str:
    if status == 429:  # noqa: PLR2004 -- the one that is about limits
        return "throttled"
    return "failed" if status >= 500 else "refused"  # noqa: PLR2004 -- a server's error


async def _attempt(under: _Under) -> None:
    assert under.request and under.account  # noqa: S101, PT018 -- read before, or refused
    effects = _draw(under, under.request, under.account)
    plan = _plan(under, under.request, under.account, effects)
    composed = _compose(under.twin.seed, under.request, effects)
    fails = effects.dark or effects.status is not None
    excess = _count(under, under.account, Split() if fails else plan.split, composed, fails=fails)
    under.end = End(0, "dropped", under.request.model.name, "", plan.split)
    if excess:
        refusal = under.api.throttled(under.account, under.request.model, excess, under.twin.oracle.window_seconds)
        return await _refuse(under, refusal)
    await under.exchange.pause(effects.latency_seconds)
    if effects.dark:
        return await under.exchange.cut()
    if effects.status is not None:
        return await _refuse(under, effects.failure())
    under.twin.cache.remember(plan)
    tier = effects.tier or under.api.tier(under.request.tier_asked)
    served = Served(under.request, composed, plan.split, tier, under.request_id, under.twin.seed)
    under.end = _served_end(served)
    return await _deliver(under, served, effects)


def _draw(under: _Under, request: Request, account: Account) -> Effects:
    ordinal = under.twin.ordinal(under.api.provider)
    seen = dials.Arrival(under.api.provider, account.name, request.model.name, request.stream, ordinal)
    return under.twin.dials.effects(seen)


def _plan(under: _Under, request: Request, account: Account, effects: Effects) -> Plan:
    if effects.uncached or request.model.embedding:
        return Plan(Split(sum(block.tokens for block in request.blocks)))
    scope = f"{account.name}/{request.model.name}"
    return under.twin.cache.split(
        scope, request.blocks, automatic=under.api.provider == "openai", writes=request.model.writes_cache
    )


def _compose(seed: int, request: Request, effects: Effects) -> Composed:
    if request.model.embedding:
        return Composed((), "", {}, 0, 0, "stop")
    drawn = composing.digest(seed, request.body)
    most = request.model.output_tokens if request.most is None else request.most
    wanted = effects.output_tokens
    return composing.compose(drawn, most=most, tool=request.tool, reasons=request.model.reasons, wanted=wanted)


def _count(under: _Under, account: Account, split: Split, composed: Composed, *, fails: bool) -> Excess | None:
    """Against the limits, as of this moment; what fails by itself counts as a request only."""
    assert under.request  # noqa: S101 -- read before
    output = 0 if fails else composed.output
    if account.reserves_output and under.request.most is not None and not fails:
        output = max(output, under.request.most)
    under.log, entry, excess = under.twin.oracle.admit(
        account.name,
        under.request.model.name,
        under.api.counted_input(split),
        output,
        tell=under.arrival.client_request_id,
    )
    under.entry = None if excess else entry
    return excess


def _served_end(served: Served) -> End:
    """Of an answer that has not begun: the prompt is paid from here on."""
    return End(
        200,
        "abandoned",
        served.request.model.name,
        served.tier,
        served.split,
        web_searches=served.request.web_searches,
        long_context=_long(served),
        billed=True,
    )


def _long(served: Served) -> bool:
    threshold = served.request.model.long_tokens
    return threshold is not None and served.split.total > threshold


async def _deliver(under: _Under, served: Served, effects: Effects) -> None:
    if effects.hang_seconds is not None:
        return await _hang(under, served, effects)
    if served.request.stream:
        return await _stream(under, served, effects)
    under.end.output, under.end.reasoning = served.composed.output, served.composed.reasoning
    await under.exchange.pause(effects.first_token_seconds + effects.token_seconds * served.composed.output)
    if effects.cut_after is not None:
        under.end.outcome = "cut"
        return await under.exchange.cut()
    await under.exchange.demand_a_listener()
    under.end.outcome = "completed"
    under.record()
    return await under.exchange.answer(200, under.api.answer(served), under.headers())


async def _hang(under: _Under, served: Served, effects: Effects) -> None:
    under.end.outcome, under.end.status = "dropped", 0
    under.end.billed = effects.billed_though_hung
    if under.end.billed:
        under.end.output, under.end.reasoning = served.composed.output, served.composed.reasoning
    await under.exchange.pause(effects.hang_seconds or 0)
    await under.exchange.cut()


async def _stream(under: _Under, served: Served, effects: Effects) -> None:
    events = under.api.events(served)
    ends, outcome = _where_it_ends(events, effects)
    await under.exchange.pause(effects.first_token_seconds)
    await under.exchange.start_stream(under.headers())
    sent = [event for event in events[:ends] if not (outcome == "truncated" and event.closing)]
    for event in sent:
        await under.exchange.pause(effects.token_seconds * (event.output - under.end.output))
        under.end.output = max(under.end.output, event.output)
        under.end.reasoning = min(served.composed.reasoning, under.end.output)
        if event is sent[-1] or event.closing:
            under.end.outcome = outcome
            under.record()
        await under.exchange.event(event.content)
    if outcome == "cut":
        await under.exchange.flush()
        return await under.exchange.cut()
    if outcome == "broken":
        await under.exchange.event(under.api.error_event(under.request_id))
    await under.exchange.end_stream()
    return None


def _where_it_ends(events: Sequence[Event], effects: Effects) -> tuple[int, str]:
    """(how many events leave, outcome). A stream that is cut or broken never gets as far as its closing events."""
    most = sum(not event.closing for event in events)
    if effects.cut_after is not None:
        return min(most, max(1, int(len(events) * effects.cut_after))), "cut"
    if effects.error_after is not None:
        return min(most, max(1, int(len(events) * effects.error_after))), "broken"
    return len(events), "truncated" if effects.truncate else "completed"
