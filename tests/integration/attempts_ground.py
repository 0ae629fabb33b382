"""Ground for tests of the ledger of attempts: a database of its own, and attempts as they would stand in an earlier hour."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from steward.ai.attempts import Attempt, Ending, Outcome, new_id
from steward.ai.usage import Usage
from steward.clients.attempts import AttemptLedger, Patience
from steward.clients.postgres import connect
from tests.keyring_ground import query

ASKED = {
    "tenant": "acme",
    "project": "assistant",
    "key_id": "key-7",
    "provider": "openai",
    "account": "openai-main",
    "credential_version": "v3",
    "alias": "chat",
    "model_asked": "gpt-5",
    "reserved_input": 900,
    "reserved_output": 400,
}
USED = Usage(input_uncached=700, input_cached=200, output=90, reasoning=40)


def asked(**values):
    return Attempt(**{"id": new_id(), "request": uuid4(), **ASKED, **values})


def completed(**values):
    told = {"ending": Ending.COMPLETED, "usage": USED, "http_status": 200, "latency_ms": 840, "model_served": "gpt-5"}
    return Outcome(**{**told, **values})


@asynccontextmanager
async def working(settings, name="gateway-1", patience=None):
    async with AttemptLedger(settings, name, patience or Patience()) as ledger:
        yield ledger


def with_ledger(settings, act, **options):
    """What the coroutine function *act* gives for an open ledger."""

    async def run():
        async with working(settings, **options) as ledger:
            return await act(ledger)

    return asyncio.run(run())


def rows(settings, columns="state", where="true"):
    return query(settings, f"SELECT {columns} FROM steward.ai_attempts WHERE {where} ORDER BY id")  # noqa: S608  the test's own words


def hour_ago(hours):
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)


def past(settings, *statements):
    """Run *statements* as if at another time: the guard, which tells the time, is away meanwhile."""
    query(settings, "ALTER TABLE steward.ai_attempts DISABLE TRIGGER guard")
    try:
        for statement, values in statements:
            with connect(settings) as db:
                db.execute(statement, values)
    finally:
        query(settings, "ALTER TABLE steward.ai_attempts ENABLE ALWAYS TRIGGER guard")


def planted(settings, hours, count=3, state="settled"):
    """*count* attempts of that many hours ago, in *state*, of a worker that is gone."""
    at = hour_ago(hours) + timedelta(minutes=5)
    over = state in {"settled", "aborted", "unknown"}
    past(
        settings,
        (
            _PLANT,
            {
                "state": state,
                "at": at,
                "sent_at": None if state == "reserved" else at,
                "settled_at": at if over and state != "unknown" else None,
                "ending": {"settled": "completed", "unknown": "lost", "aborted": "not_sent"}.get(state),
                "figure": 7 if state == "settled" else None,
                "count": count,
            },
        ),
    )


# A tenant's name may be anything; a file that is written and read as text has to keep it.
_PLANT = """
INSERT INTO steward.ai_attempts (id, request, ordinal, worker, tenant, key_id, provider, account, credential_version, alias,
    model_asked, is_stream, reserved_input, reserved_output, state, reserved_at, sent_at, settled_at, ending, latency_ms,
    input_uncached, input_cached, cache_write, cache_write_5m, cache_write_1h, output, reasoning, audio_input, audio_output,
    web_searches, web_fetches)
SELECT gen_random_uuid(), gen_random_uuid(), 1, gen_random_uuid(), 'globex, "Ltd"' || chr(10) || 'é', 'key-7', 'anthropic',
    'main', 'v1', 'chat', 'claude', n %% 2 = 0, 100, 100, %(state)s, %(at)s::timestamptz + n * interval '1 ms', %(sent_at)s,
    %(settled_at)s, %(ending)s, n, f, f, f, f, f, f, f, f, f, f, f
  FROM generate_series(1, %(count)s) AS n, (VALUES (%(figure)s::bigint)) AS figure (f)
"""
