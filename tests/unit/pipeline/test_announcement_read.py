"""What is announced is what a receiver of webhooks reads, by its own code."""

import json
from base64 import b64encode
from datetime import UTC, datetime

from steward.clients import announcing
from steward.pipeline.report import announcement, announcement_id
from steward.settings import Announce
from steward.webhooks import signed
from steward.webhooks.signatures import demand_signed_signature
from tests.unit.pipeline.test_report import CANDIDATE, NOW, report


def test_its_receiver_reads_type_moment_and_release(monkeypatch, tmp_path):
    (tmp_path / "secret").write_text(f"whsec_{b64encode(b'k' * 32).decode()}")
    sent = []
    monkeypatch.setattr(announcing, "ask", lambda _receiver, question, _seconds: sent.append(question))
    told = Announce(url="https://hooks.example.net/webhooks/pipeline", secret=f"file:{tmp_path}/secret")
    announcing.announce(told, None, announcement_id(report()), announcement(report(), "d" * 64))
    demand_signed_signature([b"k" * 32], sent[0].headers, sent[0].body, now=datetime.now(UTC))
    delivery = signed.read("pipeline", sent[0].headers, sent[0].body)
    assert (delivery.event, delivery.delivery) == ("release.candidate", announcement_id(report()))
    assert delivery.occurred_at == NOW
    assert json.loads(delivery.body)["data"]["release"] == CANDIDATE.release
