"""A receiver whose part has ended by itself says so, and is not well any more."""

from __future__ import annotations

import asyncio

import pytest

from services.webhooks.receiver import Receiver
from services.webhooks.secrets import Secrets
from steward.clients.webhook_keeping import Inbox
from steward.settings import Evidence, ObjectStore, Postgres, Settings, Webhooks


def health_of(tmp_path):
    (tmp_path / "ci").write_text("whsec_" + "A" * 32)
    sources = {"ci": {"kind": "signed", "secrets": [f"file:{tmp_path / 'ci'}"]}}
    settings = Settings(
        search={},
        postgres=Postgres(url="postgresql://steward@127.0.0.1:1/steward", password="file:/absent"),
        objects=ObjectStore(region="r", access_key="file:/a", secret_key="file:/a", evidence_bucket="e"),
        evidence=Evidence(signing_key="file:/a", public_key="/a"),
    )
    webhooks = Webhooks.model_validate({"url": "http://127.0.0.1:1", "sources": sources})
    receiver = Receiver(settings, webhooks, lambda _: ())

    async def asked():
        receiver._secrets.read()
        async with receiver._live(receiver.application()):
            await asyncio.sleep(0)
            answer = await receiver.health(None)
        return answer.status_code, answer.body.decode()

    return asyncio.run(asked())


async def _ended(_):
    """As what has failed."""


@pytest.mark.parametrize(
    ("part", "method", "word"),
    [
        (Secrets, "keep_fresh", "the secrets' reading has ended"),
        (Inbox, "_tell", "the telling of dispatchers has ended"),
    ],
)
def test_a_part_that_has_ended_is_named(monkeypatch, tmp_path, part, method, word):
    assert health_of(tmp_path)[0] == 200
    monkeypatch.setattr(part, method, _ended)
    status, told = health_of(tmp_path)
    assert status == 503
    assert word in told
