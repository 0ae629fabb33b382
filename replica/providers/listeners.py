"""The three listeners: OpenAI's API, Anthropic's, and the one by which tests look behind both."""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from replica.providers import admin, attempt
from replica.providers.anthropic import errors as anthropic_errors
from replica.providers.anthropic import organization as anthropic_organization
from replica.providers.anthropic.messages import Messages
from replica.providers.anthropic.reports import add_routes as add_anthropic_reports
from replica.providers.errors import Refusal
from replica.providers.exchange import Exchange, Gone, Receive, Scope, Send
from replica.providers.openai import errors as openai_errors
from replica.providers.openai import organization as openai_organization
from replica.providers.openai.chat import Chat
from replica.providers.openai.embeddings import Embeddings
from replica.providers.openai.reports import add_routes as add_openai_reports
from replica.providers.routing import Routes
from replica.providers.twin import Twin

_log = logging.getLogger("replica.providers")
ErrorBody = Callable[[Refusal, str], Mapping[str, Any]]


class Listener:
    """An ASGI application over *routes*; *words* gives an error its provider's shape."""

    def __init__(self, routes: Routes, words: ErrorBody, id_header: str) -> None:
        self._routes, self._words, self._id_header = routes, words, id_header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """HTTP only."""
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send)
        try:
            endpoint, segments = self._routes.find(exchange)
            await endpoint(exchange, *segments)
        except Refusal as refusal:
            await self._refuse(exchange, refusal)
        except Gone:
            return
        except Exception:  # noqa: BLE001 -- the edge: logged whole, answered in the provider's shape
            _log.exception("%s %s", exchange.method, exchange.path)
            if not exchange.started:
                await self._refuse(exchange, Refusal(500, "The twin itself failed; its log says more."))

    async def _refuse(self, exchange: Exchange, refusal: Refusal) -> None:
        request_id = f"req_{secrets.token_hex(12)}"
        body = self._words(refusal, request_id)
        await exchange.answer(refusal.status, body, {self._id_header: request_id, **refusal.headers})


def openai(twin: Twin) -> Listener:
    """What answers for OpenAI."""
    routes = Routes()
    routes.add("POST", "/v1/chat/completions", functools.partial(attempt.serve, twin, Chat()))
    routes.add("POST", "/v1/embeddings", functools.partial(attempt.serve, twin, Embeddings()))
    openai_organization.add_routes(routes, twin)
    add_openai_reports(routes, twin)
    return Listener(routes, lambda refusal, _: openai_errors.body(refusal), "x-request-id")


def anthropic(twin: Twin) -> Listener:
    """What answers for Anthropic."""
    routes = Routes()
    routes.add("POST", "/v1/messages", functools.partial(attempt.serve, twin, Messages()))
    anthropic_organization.add_routes(routes, twin)
    add_anthropic_reports(routes, twin)
    return Listener(routes, anthropic_errors.body, "request-id")


def administration(twin: Twin) -> Listener:
    """Dials, the truth, violations, bills: not part of any provider's API."""
    routes = Routes()
    admin.add_routes(routes, twin)
    return Listener(routes, lambda refusal, _: {"error": refusal.message}, "x-request-id")
