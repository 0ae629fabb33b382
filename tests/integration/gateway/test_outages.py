"""A provider that is out: found by all workers together, spared, looked at once a second, and used again when it answers."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace

import pytest

from services.gateway import health
from services.gateway.health import HealthBoard
from services.gateway.metrics import Metrics
from steward.ai.health import WINDOW, Door
from steward.clients.redis import open_async_redis

pytestmark = pytest.mark.without_search

ROUTE = "openai:gpt-4.1"
CHAT = {"messages": [{"role": "user", "content": "Which way is the sea?"}], "max_tokens": 5}


def _ask(gateway, *, seconds):
    """Answers within that time, each of them given by somebody."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert gateway.post("/v1/chat/completions", json={"model": "chat", **CHAT}).status_code == 200
        # Many more than once a second, and not all that the machine can.
        time.sleep(0.03)


def _at(gateway, provider):
    return [row for row in gateway.truths() if row["provider"] == provider]


def test_a_provider_that_is_out_is_asked_once_a_second_and_again_by_all_when_it_answers(gateway, twins):
    twins.lay("dark", provider="openai")
    _ask(gateway, seconds=1)
    spared, began = len(_at(gateway, "openai")), time.monotonic()
    _ask(gateway, seconds=3)
    asked = len(_at(gateway, "openai")) - spared
    assert 1 <= asked <= 2 + (time.monotonic() - began)
    twins.admin("POST", "/begin-anew")
    answered, deadline = len(_at(gateway, "anthropic")), time.monotonic() + WINDOW
    while True:
        assert time.monotonic() < deadline
        _ask(gateway, seconds=0.5)
        now = len(_at(gateway, "anthropic"))
        if now == answered:
            return
        answered = now


def test_workers_agree_on_a_route_whatever_their_clocks_say(gateway, monkeypatch):
    async def told() -> list[Door]:
        async with (
            open_async_redis(gateway.settings, "gateway") as redis,
            HealthBoard(redis, [ROUTE], Metrics()) as right,
        ):
            ahead = SimpleNamespace(time=lambda: time.time() + 7200, monotonic=time.monotonic)
            monkeypatch.setattr(health, "time", ahead)
            async with HealthBoard(redis, [ROUTE], Metrics()) as skewed:
                for _ in range(10):
                    right.failed(ROUTE)
                    skewed.failed(ROUTE)
                    await asyncio.sleep(0.03)
                return [board.now[ROUTE].door for board in (right, skewed)]

    assert asyncio.run(told()) == [Door.SHUT, Door.SHUT]


def test_a_stream_that_does_not_begin_is_asked_elsewhere(gateway, twins):
    twins.lay("first_token", milliseconds=60_000, provider="openai")
    pieces = list(gateway.openai().chat.completions.create(model="prompt", stream=True, **CHAT))
    assert pieces
    assert [(row["provider"], row["ending"]) for row in gateway.attempts()] == [
        ("openai", "timed_out"),
        ("anthropic", "completed"),
    ]
