"""The record of what came in: whole, in order, append-only, and still there after a kill."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
import uuid
from pathlib import Path

import httpx
import pytest

from tests.testbed.providers.ground import ASKED, VERSION, Twins

pytestmark = pytest.mark.without_search

BODY = {"model": "gpt-4o-mini", "messages": ASKED}


def _post(twins: Twins, client: httpx.Client, attempt: str, key: str = "o1") -> int:
    headers = {"authorization": f"Bearer {twins.secret(key)}", "x-client-request-id": attempt}
    return client.post(f"{twins.openai_url}/chat/completions", json=BODY, headers=headers).status_code


def test_every_attempt_is_on_record_once_refused_ones_too(twins: Twins) -> None:
    sent = [str(uuid.uuid4()) for _ in range(25)]
    with httpx.Client() as client:
        statuses = [_post(twins, client, each, key="o1" if number % 5 else "a1") for number, each in enumerate(sent)]
    assert sorted(set(statuses)) == [200, 401]
    found = [row for row in twins.attempts(limit=7, provider="openai") if row["client_request_id"] in set(sent)]
    assert [row["client_request_id"] for row in found] == sent
    assert [row["status"] for row in found] == statuses
    assert [row["billed"] for row in found] == [int(status == 200) for status in statuses]


def test_in_a_storm_of_failures_every_attempt_has_one_row_and_one_end(twins: Twins) -> None:
    for kind in ("error", "dark", "cut", "truncate", "stream_error", "latency", "pace"):
        more = {"milliseconds": 2} if kind in {"latency", "pace"} else {}
        twins.lay(kind, name=kind, share=0.15, **more)
    sent = asyncio.run(_storm(twins))
    rows = {row["client_request_id"]: row for row in twins.attempts() if row["client_request_id"] in sent}
    assert len([row for row in twins.attempts() if row["client_request_id"] in sent]) == len(rows) == len(sent)
    assert {"completed", "failed", "dropped", "cut", "truncated", "broken"} == {row["outcome"] for row in rows.values()}
    for attempt, seen in sent.items():
        # Whoever got 200 and the whole answer, and nobody else, was told so by the record.
        assert (rows[attempt]["outcome"] in {"completed", "truncated", "broken"}) == (seen == 200)
    assert twins.log().strip() == ""


async def _storm(twins: Twins) -> dict[str, int]:
    """Status by attempt; 0 for a connection that was cut."""
    seen: dict[str, int] = {}
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=30), timeout=30) as client:

        async def call(number: int) -> None:
            attempt = str(uuid.uuid4())
            body = {"model": "claude-haiku-5-5", "max_tokens": 40, "messages": ASKED, "stream": number % 3 > 0}
            headers = {"x-api-key": twins.secret("a1"), **VERSION, "x-client-request-id": attempt}
            try:
                answer = await client.post(f"{twins.anthropic_url}/v1/messages", json=body, headers=headers)
                seen[attempt] = answer.status_code
            except httpx.TransportError:
                seen[attempt] = 0

        await asyncio.gather(*(call(number) for number in range(300)))
    return seen


def test_a_kill_loses_no_attempt(tmp_path: Path) -> None:
    twins = Twins(tmp_path)
    twins.start()
    try:
        answered = [str(uuid.uuid4()) for _ in range(10)]
        with httpx.Client() as client:
            assert {_post(twins, client, each) for each in answered} == {200}
            twins.lay("first_token", milliseconds=60_000)
            waiting = str(uuid.uuid4())
            thread = threading.Thread(target=_suppressed, args=(twins, client, waiting))
            thread.start()
            deadline = time.monotonic() + 10
            while not twins.attempts(client_request_id=waiting):
                assert time.monotonic() < deadline
                time.sleep(0.01)
            twins.kill()
            thread.join()
        twins.start()
        rows = {row["client_request_id"]: row for row in twins.attempts()}
        assert set(rows) == {*answered, waiting}
        assert {rows[each]["outcome"] for each in answered} == {"completed"}
        # Nobody can know what had become of it.
        assert rows[waiting]["outcome"] is None
        assert twins.log().strip() == ""
    finally:
        twins.kill()
    with sqlite3.connect(tmp_path / "twins" / "truth.db") as database:
        for change in ("UPDATE ends SET output = 0", "DELETE FROM arrivals"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                database.execute(change)
    database.close()


def _suppressed(twins: Twins, client: httpx.Client, attempt: str) -> None:
    with pytest.raises(httpx.HTTPError):
        _post(twins, client, attempt)


def test_the_administration_is_closed_without_its_token(twins: Twins) -> None:
    for headers in ({}, {"authorization": f"Bearer {twins.secret('o1')}"}):
        answer = twins.http.get(f"{twins.admin_url}/attempts", headers=headers)
        assert answer.status_code == 401
        assert twins.secret("o1") not in answer.text
