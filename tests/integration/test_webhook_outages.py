"""What a receiver stands on goes away, or it dies itself: what was acknowledged is there, and what was not comes again."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from psycopg.conninfo import conninfo_to_dict

from replica import inventory
from steward.clients.postgres import connect
from steward.clients.webhook_inbox import CHANNEL
from steward.migrations.apply import migrate
from steward.settings import load
from tests.integration.cable import cable
from tests.integration.fresh_database import changed, fresh_database
from tests.integration.webhooks_ground import (
    CI,
    GITHUB,
    PATIENCE_SECONDS,
    SECRETS,
    Receiver,
    count,
    deployment,
    event,
    from_ci,
    from_github,
    raw,
    receiver,
    rows,
    with_sources,
)

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def settings(replica, tmp_path_factory):
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield with_sources(fresh, tmp_path_factory.mktemp("secrets"))


@pytest.fixture
def wire(settings):
    with cable(int(conninfo_to_dict(settings.postgres.url)["port"])) as to_the_database:
        yield to_the_database


@pytest.fixture
def server(settings, wire, tmp_path):
    """Over a cable to its database."""
    server = conninfo_to_dict(settings.postgres.url)
    url = f"postgresql://{server['user']}@127.0.0.1:{wire.port}/{server['dbname']}"
    with receiver(changed(settings, "postgres", url=url), tmp_path) as running:
        yield running


def new():
    body = raw(deployment())
    return GITHUB, body, from_github(body)


def test_a_database_that_hangs_is_told_in_time_and_the_next_try_is_taken(server, settings, wire):
    before, sent = count(settings), new()
    wire.hold()
    with server.logged() as lines, ThreadPoolExecutor(20) as pool:
        others = [pool.submit(server.send, *new()) for _ in range(19)]
        answer = server.send(*sent)
        assert {each.result().status for each in others} == {503}
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")
    assert "send it again, under the same id" in answer.body["hint"]
    assert "postgres" not in str(answer.body).lower()
    assert sum("status=503" in line for line in lines) == 20
    assert not any("Traceback" in line for line in lines)
    told = server.send("/healthz", b"", {}, method="GET")
    assert told.status == 200
    assert "database: answers" not in told.body
    wire.put_back()
    # What hung may be done once the database goes on: the next try then finds its row.
    assert server.send(*sent).status in {200, 202}
    assert before < count(settings) <= before + 20
    assert server.send(*new()).status == 202


def test_a_database_that_is_there_again_soon_costs_nobody_a_delivery(server, settings, wire):
    before = count(settings)
    assert server.send(*new()).status == 202
    wire.pull()
    with ThreadPoolExecutor(20) as pool:
        waiting = [pool.submit(server.send, *new()) for _ in range(20)]
        while "database: answers" in server.send("/healthz", b"", {}, method="GET").body:
            assert not any(each.done() for each in waiting)
        wire.put_back()
        assert [each.result().status for each in waiting] == [202] * 20
    assert count(settings) == before + 21


@pytest.mark.parametrize(("when", "stored", "again"), [("before", 0, 202), ("after", 1, 200)])
def test_a_receiver_killed_at_a_delivery_loses_none_and_doubles_none(settings, tmp_path, when, stored, again):
    before, sent = count(settings), new()
    program = ["-m", "tests.integration.webhooks_dying", when, "serve"]
    dying = Receiver(settings, tmp_path, program=program)
    try:
        dying.start()
        with pytest.raises(OSError):
            dying.send(*sent)
        assert dying.ended() == -signal.SIGKILL
    finally:
        dying.close()
    assert count(settings) == before + stored
    with receiver(settings, tmp_path) as successor:
        assert successor.send(*sent).status == again
    assert count(settings) == before + 1
    assert rows(settings)[-1]["delivery"] == sent[2]["X-GitHub-Delivery"]


def test_a_receiver_told_to_stop_answers_what_it_has_begun(settings, server, wire):
    before = count(settings)
    wire.pull()
    with ThreadPoolExecutor(2) as pool:
        waiting = pool.submit(server.send, *new())
        # It is begun once the receiver has found that its database is gone.
        while "database: answers" in server.send("/healthz", b"", {}, method="GET").body:
            assert not waiting.done()
        ended = pool.submit(server.end, signal.SIGTERM)
        wire.put_back()
        assert waiting.result().status == 202
        assert ended.result() in {0, -signal.SIGTERM}
    assert count(settings) == before + 1


def test_a_sender_whose_secret_cannot_be_read_yet_is_told_to_come_again_and_others_are_taken(settings, tmp_path):
    own = with_sources(settings, tmp_path)
    (tmp_path / "github").unlink()
    running = Receiver(own, tmp_path)
    sent = new()
    try:
        running.start(healthy=503)
        with running.logged() as lines:
            answer = running.send(*sent)
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert "not every secret of this source could be read yet" in answer.body["detail"]
        assert len(lines) == 1
        assert "status=503" in lines[0]
        assert "secrets: not read yet: github" in running.send("/healthz", b"", {}, method="GET").body
        body = raw(event())
        assert running.send(CI, body, from_ci(body)).status == 202
        (tmp_path / "github").write_text(SECRETS["github"])
        until = time.monotonic() + PATIENCE_SECONDS
        while running.send("/healthz", b"", {}, method="GET").status != 200:
            assert time.monotonic() < until
            time.sleep(0.1)
        assert running.send(*sent).status == 202
    finally:
        running.close()
    assert SECRETS["github"] not in running.log()


def test_while_a_secret_is_replaced_both_are_taken(settings, tmp_path):
    own = with_sources(settings, tmp_path)
    (tmp_path / "next").write_text("the one after this one")
    sources = {
        **own.webhooks.sources,
        "github": own.webhooks.sources["github"].model_copy(
            update={"secrets": (f"file:{tmp_path / 'next'}", f"file:{tmp_path / 'github'}")}
        ),
    }
    with receiver(changed(own, "webhooks", sources=sources), tmp_path) as running:
        for secret in (SECRETS["github"], "the one after this one"):
            body = raw(deployment())
            assert running.send(GITHUB, body, from_github(body, secret=secret)).status == 202
        body = raw(deployment())
        assert running.send(GITHUB, body, from_github(body, secret="neither of the two")).status == 401


def test_whoever_waits_for_deliveries_is_told_of_one(settings, tmp_path):
    with receiver(settings, tmp_path) as running, connect(settings) as listening:
        listening.execute(f"LISTEN {CHANNEL}")
        listening.commit()
        sent = new()
        assert running.send(*sent).status == 202
        assert [each.channel for each in listening.notifies(timeout=PATIENCE_SECONDS, stop_after=1)] == [CHANNEL]


@pytest.mark.parametrize("sources", [None, {}])
def test_settings_without_a_sender_are_refused_before_anything_is_opened(settings, tmp_path, sources):
    update = (
        {"webhooks": None} if sources is None else {"webhooks": settings.webhooks.model_copy(update={"sources": {}})}
    )
    refused = Receiver(settings.model_copy(update=update), tmp_path)
    with pytest.raises(AssertionError, match=r"tell of no sender of webhooks\nHINT: add \[webhooks\] and its sources"):
        refused.start()
    assert refused.ended() == 2
