"""What a receiver tells of itself: how its secrets and its database are, and what it answered to whom."""

from __future__ import annotations

import pytest

from tests.integration.webhook_receiver.ground import marked
from tests.integration.webhooks_ground import GITHUB, from_github

pytestmark = pytest.mark.without_search


def test_health_says_how_secrets_and_the_database_are(server):
    assert server.send("/healthz", b"", {}, method="GET").body == "secrets: read\ndatabase: answers\n"


def test_metrics_count_outcomes_by_source_and_strangers_make_no_series(server):
    body = marked()
    for path in (GITHUB, GITHUB, "/webhooks/a-stranger"):
        server.send(path, body, from_github(body))
    server.send(GITHUB, body + b" ", from_github(body))
    told = server.send("/metrics", b"", {}, method="GET").body
    for source, outcome in (
        ("github", "received"),
        ("github", "repeated"),
        ("github", "Forged"),
        ("-", "UnknownSource"),
    ):
        assert f'steward_webhook_answers_total{{outcome="{outcome}",source="{source}"}}' in told
    assert "a-stranger" not in told
    assert "steward_webhook_database_up 1.0" in told
    assert "steward_webhook_unread_sources 0.0" in told
    assert "steward_webhook_answer_seconds_bucket" in told
