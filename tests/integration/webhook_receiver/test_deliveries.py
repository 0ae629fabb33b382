"""What a sender delivers is a row before it is answered, and one row however often and by how many it is sent."""

from __future__ import annotations

import json
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.contract.github import payloads
from tests.integration.webhook_receiver.ground import at
from tests.integration.webhooks_ground import (
    CI,
    GITHUB,
    SECRETS,
    count,
    deployment,
    event,
    from_ci,
    from_github,
    raw,
    receiver,
    rows,
)

pytestmark = pytest.mark.without_search


def test_what_github_sends_is_a_row_before_it_is_answered(server, settings):
    payload = deployment()
    body, before = raw(payload), count(settings)
    headers = from_github(body)
    answer = server.send(GITHUB, body, headers)
    assert answer.status == 202
    row = rows(settings)[-1]
    assert answer.body == {"delivery": row["id"], "state": "received"}
    assert count(settings) == before + 1
    told = payload["deployment"]
    assert (row["source"], row["delivery"]) == ("github", headers["X-GitHub-Delivery"])
    assert (row["event"], row["action"], row["key"]) == ("deployment", "created", f"deployment/{told['id']}/created")
    assert row["occurred_at"] == datetime.fromisoformat(told["created_at"])
    assert (bytes(row["body"]), row["how"], row["state"], row["repeats"]) == (body, "received", "received", 0)


@pytest.mark.parametrize("name", payloads.EVENTS)
def test_each_event_is_taken(server, name):
    payload = payloads.examples(name)[-1]
    part = payload.get(name) or payload.get("deployment") or {}
    part |= {moment: at(datetime.now(UTC)) for moment in ("created_at", "updated_at")}
    body = raw(payload)
    assert server.send(GITHUB, body, from_github(body, name)).status == 202


def test_a_signed_delivery_is_taken(server, settings):
    body = raw(event())
    headers = from_ci(body)
    assert server.send(CI, body, headers).status == 202
    row = rows(settings)[-1]
    assert (row["event"], row["action"]) == ("release.candidate", None)
    assert row["key"] == f"release.candidate/{headers['webhook-id']}"


def test_a_delivery_comes_once_however_it_is_repeated(server, settings):
    payload = deployment()
    body, before = raw(payload), count(settings)
    headers = from_github(body)
    first = server.send(GITHUB, body, headers)
    other = raw({**payload, "sent": "again"})
    repeats = [
        server.send(GITHUB, body, headers),
        # Under another id, as whoever overheard it would.
        server.send(GITHUB, body, from_github(body)),
        # The same event told by another webhook: other bytes under another id.
        server.send(GITHUB, other, from_github(other)),
    ]
    assert [(each.status, each.body) for each in repeats] == [
        (200, {"delivery": first.body["delivery"], "state": "repeated"})
    ] * 3
    assert count(settings) == before + 1
    row = rows(settings)[-1]
    assert (row["repeats"], bytes(row["body"])) == (3, body)
    assert row["last_repeat_at"] > row["received_at"]


def test_a_signed_delivery_comes_once_however_it_is_repeated(server, settings):
    body, before = raw(event()), count(settings)
    headers = from_ci(body)
    assert server.send(CI, body, headers).status == 202
    # A later try of the same sender's is signed anew, under the same id.
    later = from_ci(body, identity=headers["webhook-id"], at=time.time() - 10)
    assert [server.send(CI, body, each).status for each in (headers, later, from_ci(body))] == [200, 200, 200]
    assert count(settings) == before + 1


def test_of_many_at_once_one_is_new(server, settings, folder):
    body, before = raw(deployment()), count(settings)
    with receiver(settings, folder) as second, ThreadPoolExecutor(16) as pool:
        servers = [server, second] * 16
        told = list(pool.map(lambda each: each.send(GITHUB, body, from_github(body)), servers))
    assert sorted(each.status for each in told) == [200] * 31 + [202]
    assert len({each.body["delivery"] for each in told}) == 1
    assert count(settings) == before + 1
    assert rows(settings)[-1]["repeats"] == 31


def test_the_documented_commands_send_a_delivery_that_is_taken(server, settings):
    block = Path("docs/webhooks.md").read_text().partition("```sh\n")[2].partition("```")[0]
    environment = {**os.environ, "URL": f"http://127.0.0.1:{server.port}", "SECRET": SECRETS["ci"]}
    done = subprocess.run(["bash", "-euc", block], env=environment, capture_output=True, text=True, check=False)
    assert json.loads(done.stdout) == {"delivery": rows(settings)[-1]["id"], "state": "received"}, done.stderr
