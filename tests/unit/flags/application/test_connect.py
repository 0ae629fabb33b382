"""A client against a real server of flags over TLS: who is trusted, what is kept, and how soon it is back."""

from __future__ import annotations

import time

import pytest
from openfeature.evaluation_context import EvaluationContext

from replica import certificates
from steward.flags.application import ExposureHook, FlagServer, Outcomes, connect, disconnect, is_ready
from tests.pushing import pushing, searching

USERS = [f"user-{number}" for number in range(200)]
WAIT_SECONDS = 30


@pytest.fixture
def connected():
    clients = []

    def connected(server, hooks=(), **options):
        clients.append(connect(server, hooks, domain=f"test-{len(clients)}", **options))
        return clients[-1]

    yield connected
    for client in clients:
        disconnect(client)


def on(client):
    return sum(client.get_boolean_value("new-search", False, EvaluationContext(user)) for user in USERS)


def eventually(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_it_keeps_its_last_flags_without_a_server_and_takes_the_next_ones_from_another(connected, tmp_path):
    outcomes = Outcomes(b"salt")
    with pushing(tmp_path) as (served, server):
        served.push(searching(100))
        client = connected(server, [ExposureHook(outcomes)])
        assert (is_ready(client), on(client)) == (True, 200)
        assert {(each.at.rollout, each.at.step, each.variant) for each in outcomes.take(999)} == {("r-1", 1, "on")}
        served.push(searching(0, step=2))
        eventually(lambda: on(client) == 0)
        served.push(searching(100))
        eventually(lambda: on(client) == 200)
    assert (is_ready(client), on(client)) == (True, 200)
    with pushing(tmp_path, int(server.sync.rpartition(":")[2])) as (served, _):
        served.push(searching(0))
        eventually(lambda: on(client) == 0)


def test_without_flags_everybody_gets_the_default_until_they_come(connected, tmp_path):
    with pushing(tmp_path) as (served, server):
        served.push_text("{")
        client = connected(server, wait_seconds=0.2)
        assert (is_ready(client), on(client)) == (False, 0)
        served.push(searching(100))
        eventually(lambda: is_ready(client) and on(client) == 200)


def test_a_server_of_another_authority_is_not_believed(connected, tmp_path):
    (tmp_path / "other").mkdir()
    with pushing(tmp_path) as (served, server):
        served.push(searching(100))
        other = FlagServer(server.sync, ca_file=certificates.authority(tmp_path / "other"))
        client = connected(other, wait_seconds=0.5)
        assert (is_ready(client), on(client)) == (False, 0)
        named = connected(FlagServer(server.sync, "localhost", server.ca_file))
        assert is_ready(named)
        misnamed = connected(FlagServer(server.sync, "flags.example.net", server.ca_file), wait_seconds=0.5)
        assert not is_ready(misnamed)
