"""One suite for both servers that may be Redis: Debian's with TLS, and the wheel's without."""

import asyncio
import contextlib
import shutil
import socket
import ssl
import tempfile
import traceback
from pathlib import Path

import psutil
import pytest
import redis

from replica import certificates, faults, processes, start, state, stop
from replica.servers import SERVERS, redis_configuration, redis_nodes, redis_program
from replica.servers.redis import REDIS
from replica.status import rows
from replica.supervision import Keeper
from steward.clients.redis import asked, open_async_redis, open_redis
from steward.clients.redis_errors import RedisCommandFailed, RedisRefused, RedisUnavailable
from tests.integration.redis_ground import Ground, answer, as_gateway, changed, eventually, offset, roles

pytestmark = pytest.mark.without_search

# `make setup` installs Debian's where it may; elsewhere the wheel's is all there is.
PROGRAMS = [*(["redis-server"] if shutil.which("redis-server") else []), redis_program.WHEEL]


@pytest.fixture(scope="module", params=PROGRAMS)
def ground(request):
    """A cluster for this module alone: it is killed, frozen, and its masters wander."""
    folder = Path(tempfile.mkdtemp(prefix="steward-redis-"))
    folder.chmod(0o711)
    with pytest.MonkeyPatch.context() as environment:
        # Tests need not wait for the five seconds of everyday.
        environment.setattr(redis_configuration, "NODE_TIMEOUT_MILLISECONDS", 1000)
        if request.param == redis_program.WHEEL:
            environment.setenv(redis_program.VARIABLE, redis_program.WHEEL)
        try:
            yield Ground(start.up(folder / "redis", SERVERS, ["redis-1"]))
        finally:
            if (folder / "redis" / state.MARKER).exists():
                stop.down(folder / "redis", SERVERS, [])
            shutil.rmtree(folder)


def test_every_slot_has_a_master_and_its_replica_on_another_host(ground):
    found = roles(ground)
    assert sum(slots for _, slots in found.values()) == 16384
    assert {redis_nodes.host(master) for master in found} == {1, 2, 3}
    for master, (replicas, _) in found.items():
        assert len(replicas) == 1
        assert redis_nodes.host(master) not in set(map(redis_nodes.host, replicas))


def test_status_says_which_server_it_is_and_whether_it_speaks_tls(ground):
    product = "Redis 7" if ground.tls else "Valkey 9"
    speaks = "TLS" if ground.tls else "without TLS ("
    for row in rows(ground.place, list(REDIS)):
        assert row.healthy
        assert row.health.startswith(product)
        assert f", {speaks}" in row.health


def test_clients_are_spoken_to_by_tls_1_3_alone_where_the_server_has_it(ground):
    address = ("127.0.0.1", ground.place.port("redis-1", "redis"))
    if not ground.tls:
        assert set(ground.settings.redis.hosts) == {
            f"redis://127.0.0.1:{ground.place.port(node, 'redis')}" for node in redis_nodes.NODES
        }
        return
    context = ssl.create_default_context(cafile=str(ground.place.ca_file))
    with socket.create_connection(address) as plain, context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped:
        assert wrapped.version() == "TLSv1.3"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with socket.create_connection(address) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain, server_hostname="127.0.0.1")
    with socket.create_connection(address, timeout=5) as plain:
        plain.sendall(b"PING\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"PONG" not in plain.recv(100)


def test_nobody_without_a_certificate_gets_onto_the_clusters_bus_where_it_is_tls(ground):
    if not ground.tls:
        # Then the bus asks nobody who they are, which is why a server without TLS is for loopback only.
        return
    context = ssl.create_default_context(cafile=str(ground.place.ca_file))
    address = ("127.0.0.1", ground.place.port("redis-1", "bus"))
    with (
        socket.create_connection(address) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
        pytest.raises(ssl.SSLError, match=r"(?i)certificate.required"),
    ):
        # In TLS 1.3 the client's part is over before the server has looked at its certificate.
        wrapped.recv(1)


def test_every_listener_is_on_loopback(ground):
    listening = {
        connection.laddr.ip
        for process, _ in processes.own(ground.place.state)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


REFUSED = [
    ("watch", "GET", "gateway:a"),
    ("watch", "CLUSTER", "RESET"),
    ("watch", "FCALL_RO", "f", "1", "limit:a"),
    ("limiter", "GET", "limit:a"),
    ("limiter", "HGET", "gateway:a", "field"),
    ("limiter", "FCALL", "f", "1", "gateway:a"),
    ("limiter", "FUNCTION", "LIST"),
    ("limiter", "SCAN", "0"),
    ("gateway", "GET", "other"),
    ("gateway", "EVAL", "return 1", "0"),
    ("gateway", "KEYS", "*"),
    ("gateway", "FLUSHALL"),
    ("gateway", "FUNCTION", "LOAD", "x"),
    ("gateway", "PUBLISH", "channel", "x"),
    ("operator", "GET", "limit:a"),
    ("operator", "CONFIG", "GET", "masterauth"),
    ("operator", "ACL", "SETUSER", "operator", "+@all"),
    ("operator", "FLUSHALL"),
    ("operator", "SHUTDOWN"),
]


def test_each_user_is_refused_what_is_not_its_own_and_told_so(ground):
    for purpose in ("watch", "limiter", "gateway", "operator"):
        with open_redis(ground.settings, purpose) as client:
            for command in [refused[1:] for refused in REFUSED if refused[0] == purpose]:
                with (
                    pytest.raises(RedisRefused, match=f"refuses user {purpose}: .*ermission"),
                    asked(ground.settings, purpose).in_words(),
                ):
                    client.execute_command(*command, target_nodes=client.get_primaries()[0])


def test_each_user_can_do_its_own(ground):
    with open_redis(ground.settings, "gateway") as client:
        client.hset("gateway:own", mapping={"state": "closed"})
        client.zadd("gateway:scores", {"openai": 1})
        client.set("gateway:text", "value", px=60_000)
        assert client.hgetall("gateway:own") == {"state": "closed"}
        client.hset("limit:{own}", mapping={"used": 3})
    with open_redis(ground.settings, "limiter") as client:
        assert client.hget("limit:{own}", "used") == "3"
        assert client.delete("limit:{own}") == 1
    with open_redis(ground.settings, "watch") as client:
        assert client.info("replication", target_nodes="primaries")
    with open_redis(ground.settings, "operator") as client:
        assert list(client.function_list().values()) == [[], [], []]


def test_without_a_password_there_is_nothing_to_be_had(ground):
    with ground.connected("redis-1") as client:
        for command in ("PING", "INFO", "CLUSTER SLOTS"):
            with pytest.raises(redis.AuthenticationError):
                client.execute_command(command)


def test_a_server_of_another_authority_is_refused_with_what_to_mend(ground, tmp_path):
    if not ground.tls:
        return
    other = certificates.authority(tmp_path)

    async def ask():
        async with open_async_redis(changed(ground, ca_file=other), "watch"):
            pass

    with pytest.raises(RedisRefused, match="its certificate is not trusted") as raised:
        asyncio.run(ask())
    assert "redis.ca_file" in raised.value.hint
    with (
        pytest.raises(RedisRefused, match="its certificate is not trusted"),
        open_redis(changed(ground, ca_file=other), "watch"),
    ):
        pass


def test_no_public_authority_is_trusted_beside_the_clusters_own(ground, monkeypatch):
    """A certificate of the cluster's CA, which here is "public", is not trusted where the settings name another."""
    if not ground.tls:
        return
    monkeypatch.setenv("SSL_CERT_FILE", str(ground.place.ca_file))
    test_a_server_of_another_authority_is_refused_with_what_to_mend(ground, ground.place.state.parent / "other")


def test_a_wrong_password_is_told_with_the_user_and_never_with_the_password(ground, tmp_path):
    (tmp_path / "password").write_text("hunter2hunter2")
    with (
        pytest.raises(RedisRefused, match="refuses user limiter") as raised,
        open_redis(
            changed(ground, users={"limiter": {"username": "limiter", "password": f"file:{tmp_path}/password"}}),
            "limiter",
        ),
    ):
        pass
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_a_rotated_password_is_used_by_the_next_connection(ground, tmp_path):
    first = ground.place.secret("redis.limiter")
    (tmp_path / "password").write_text(first)
    settings = changed(ground, users={"limiter": {"username": "limiter", "password": f"file:{tmp_path}/password"}})
    with open_redis(settings, "limiter") as client:
        assert client.ping(target_nodes="primaries")
        for node in redis_nodes.NODES:
            ground.told(node, "ACL SETUSER", "limiter", ">second", f"<{first}")
        (tmp_path / "password").write_text("second")
        try:
            for node in redis_nodes.NODES:
                ground.told(node, "CLIENT KILL", "USER", "limiter")
            assert client.hget("limit:a", "field") is None
        finally:
            for node in redis_nodes.NODES:
                ground.told(node, "ACL LOAD")


def test_a_failing_command_is_told_in_rediss_own_words(ground):
    with as_gateway(ground) as client:
        client.set("gateway:text", "x")
        with pytest.raises(RedisCommandFailed) as raised, asked(ground.settings, "gateway").in_words():
            client.hget("gateway:text", "field")
    assert "wrong kind of value" in raised.value.answer
    assert raised.value.__cause__ is None


def test_what_was_acknowledged_survives_the_death_of_a_master_and_its_replica(ground):
    with as_gateway(ground) as client:
        keys = [f"gateway:{number}" for number in range(300)]
        for key in keys:
            client.set(key, key)
        assert {ground.master_of(client, key) for key in keys} == set(redis_nodes.MASTERS)
        faults.kill(ground.place.state, "redis-1")
        faults.kill(ground.place.state, "redis-6")
        # The others go on; what these two held waits for them.
        elsewhere = [key for key in keys if ground.master_of(client, key) != "redis-1"]
        assert [client.get(key) for key in elsewhere] == elsewhere
        ground.up()
        assert eventually(lambda: [client.get(key) for key in keys] == keys)


def test_a_lost_master_is_replaced_and_replaced_again_and_the_same_client_goes_on(ground):
    with as_gateway(ground, timeout_seconds=0.5) as client:
        key = next(
            key for key in map("gateway:{{{}}}".format, range(100)) if ground.master_of(client, key) == "redis-1"
        )
        # The second right after the first was mended: a replica must not take its old votes for new ones.
        for fault in (faults.kill, faults.freeze):
            client.set(key, "before")
            eventually(lambda: offset(ground, "redis-6") >= offset(ground, "redis-1"))
            fault(ground.place.state, "redis-1")
            with pytest.raises(RedisUnavailable), asked(ground.settings, "gateway").in_words():
                client.get(key)
            assert eventually(lambda: answer(ground, client, key)) == "before"
            assert ground.master_of(client, key) == "redis-6"
            client.set(key, "after")
            ground.up()
            # No host is left with two masters, and the one that was lost took nothing back.
            assert eventually(lambda: set(roles(ground)) == set(redis_nodes.MASTERS))
            assert eventually(lambda: answer(ground, client, key)) == "after"


def test_up_over_a_whole_cluster_changes_nothing(ground):
    ground.up()
    before = {name: process.pid for name, process in Keeper(ground.place.state).processes().items()}
    ground.up()
    assert {name: process.pid for name, process in Keeper(ground.place.state).processes().items()} == before


# Once: what stands between clients and servers does not depend on which server it is.
@pytest.mark.parametrize("ground", PROGRAMS[:1], indirect=True)
def test_clients_reach_every_node_through_the_proxy_and_are_cut_off_there(ground):
    ground.up(proxied=True)
    try:
        with as_gateway(ground, timeout_seconds=0.5) as client:
            proxied = {ground.place.ports[f"proxies.{node}.redis"] for node in redis_nodes.NODES}
            assert {node.port for node in client.get_nodes()} <= proxied
            keys = [f"gateway:{number}" for number in range(30)]
            for key in keys:
                client.set(key, key)
            cut = ground.place.ports["proxies.redis-1.redis"]
            (mine, *_) = [key for key in keys if client.get_node_from_key(key).port == cut]
            with (
                faults.partitioned(ground.place.state, "redis-1"),
                pytest.raises(RedisUnavailable),
                asked(ground.settings, "gateway").in_words(),
            ):
                client.get(mine)
            assert eventually(lambda: answer(ground, client, mine)) == mine
    finally:
        ground.up(proxied=False)


def test_an_event_loop_gets_the_same_answers_and_the_same_words(ground):
    async def ask():
        async with open_async_redis(ground.settings, "gateway") as client:
            await client.set("gateway:loop", "value")
            assert await client.get("gateway:loop") == "value"
            with (
                pytest.raises(RedisRefused, match="refuses user gateway"),
                asked(ground.settings, "gateway").in_words(),
            ):
                await client.get("other")

    asyncio.run(ask())
