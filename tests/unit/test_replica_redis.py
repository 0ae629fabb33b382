import re
import stat

import pytest

from replica import state
from replica.server import NotReady
from replica.servers import SERVERS, redis_configuration, redis_nodes, redis_program
from replica.servers.redis import assess
from replica.servers.redis_program import RedisProgram
from replica.state import checkout

HEALTHY = {"cluster_state": "ok", "cluster_slots_ok": "16384", "cluster_known_nodes": "6"}


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(state, "_refuse_closed", lambda _: None)
    monkeypatch.setattr(state, "_LONGEST_PATH", 4_000)
    monkeypatch.delenv(redis_program.VARIABLE, raising=False)
    return state.lay(tmp_path / "replica", SERVERS)


def written(place, *, tls, node="redis-1"):
    program = RedisProgram(tmp := place.state / "server", data=f"data-{tls}", tls=tls)
    redis_configuration.write(place, node, program)
    assert not tmp.exists()
    return redis_configuration.path(place, node).read_text().splitlines()


def plan(place, node):
    path = place.state / f"{node}.conf"
    redis_nodes.write(place, node, path)
    return path


def address(place, node):
    return f"127.0.0.1:{place.port(node, 'redis')}@{place.port(node, 'bus')}"


def test_two_lines_differ_between_a_server_with_tls_and_one_without(place):
    with_tls, without = written(place, tls=True), written(place, tls=False)
    differing = [pair for pair in zip(with_tls, without, strict=True) if pair[0] != pair[1]]
    port, tls = place.port("redis-1", "redis"), place.folder("redis-1") / "tls.conf"
    assert differing == [("port 0", f"port {port}"), (f"include {tls}", "# no TLS")]


def test_what_was_counted_is_never_forgotten_while_the_server_lives(place):
    assert {"maxmemory-policy noeviction", "repl-backlog-ttl 0", "appendonly yes"} <= set(written(place, tls=True))


def test_what_holds_a_password_is_closed_and_users_are_told_by_hashes_alone(place):
    written(place, tls=True)
    folder = place.folder("redis-1")
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.*")} == {0o600}
    passwords = [path.read_text() for path in (place.state / "secrets").glob("redis.*")]
    assert len(passwords) == 6
    users = (folder / "users.acl").read_text()
    assert not [password for password in passwords if password in users]
    # Replicas log in with a password of their own, which may read and change nothing by command.
    configuration = redis_configuration.path(place, "redis-1").read_text()
    assert [password for password in passwords if password in configuration] == [place.secret("redis.peer")]


def test_the_limiter_may_do_what_its_function_does_and_no_more():
    called = {
        name.lower()
        for path in (checkout() / "steward" / "ratelimit").rglob("*.lua")
        for name in re.findall(r"redis\.p?call\(\s*['\"](\w+)", path.read_text())
    }
    (line,) = re.findall(r"^user limiter .*$", (checkout() / "deployments/redis/users.acl").read_text(), re.MULTILINE)
    granted = {word[1:] for word in line.split() if re.fullmatch(r"\+[a-z]+", word)}
    assert granted - {"fcall"} == called


def test_a_changed_configuration_has_the_server_started_anew(place):
    written(place, tls=True)
    before = redis_configuration.digest(place, "redis-1")
    written(place, tls=True)
    assert redis_configuration.digest(place, "redis-1") == before
    (place.folder("redis-1") / "users.acl").write_text("user default off")
    assert redis_configuration.digest(place, "redis-1") != before


def test_each_masters_replica_is_on_another_host():
    for replica, master in redis_nodes.MASTER_OF.items():
        assert redis_nodes.host(replica) != redis_nodes.host(master)
    assert sorted(map(redis_nodes.host, redis_nodes.MASTERS)) == [1, 2, 3]


def test_masters_begin_with_every_slot_once():
    assert [slot for master in redis_nodes.MASTERS for slot in redis_nodes.slots(master)] == list(range(16384))


def test_every_node_begins_with_the_same_plan_and_knows_itself(place):
    plans = {node: plan(place, node).read_text() for node in redis_nodes.NODES}
    assert len({text.replace("myself,", "") for text in plans.values()}) == 1
    for node, text in plans.items():
        (mine,) = [line for line in text.splitlines() if "myself," in line]
        assert f" {address(place, node)} " in mine


def test_new_ports_reach_what_redis_wrote_of_its_cluster_and_the_rest_of_it_stays(place):
    path = plan(place, "redis-1")
    # As Redis goes on with it: a replica promoted, fields that only newer servers write.
    gone_on = re.sub(r"(@\d+) slave", r"\1,,tls-port=0,shard-id=7 master", path.read_text())
    path.write_text(gone_on)
    ports = {name: number + 1000 if name.startswith("redis") else number for name, number in place.ports.items()}
    moved = type(place)(state=place.state, cache=place.cache, ports=ports)
    redis_nodes.write(moved, "redis-1", path)
    for node in redis_nodes.NODES:
        assert f"{address(moved, node)}," in path.read_text() or f"{address(moved, node)} " in path.read_text()
    redis_nodes.write(place, "redis-1", path)
    assert path.read_text() == gone_on


def test_two_replicas_have_no_node_in_common(place, tmp_path):
    other = state.lay(tmp_path / "other", SERVERS)
    ids = {redis_nodes.node_id(each, node) for each in (place, other) for node in redis_nodes.NODES}
    assert len(ids) == 12
    assert all(len(node) == 40 for node in ids)


def test_the_wheels_server_stays_once_it_was_asked_for(place, monkeypatch):
    monkeypatch.setenv(redis_program.VARIABLE, redis_program.WHEEL)
    redis_program.remember_choice(place)
    monkeypatch.delenv(redis_program.VARIABLE)
    found = redis_program.program(place)
    assert found.path.name == "valkey-server"
    assert (found.tls, found.scheme) == (False, "redis")
    assert found.remark


def test_without_debians_server_the_wheels_is_taken_and_said(place, monkeypatch):
    monkeypatch.setenv("PATH", str(place.state))
    found = redis_program.program(place)
    assert (found.path.name, found.remark) == ("valkey-server", "redis-server is not installed")


def test_with_debians_server_there_is_tls(place, monkeypatch):
    debians = place.state / "redis-server"
    debians.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(place.state))
    found = redis_program.program(place)
    assert (found.path, found.scheme, found.remark) == (debians, "rediss", "")


def test_a_whole_cluster_is_told_by_the_nodes_own_part():
    assert assess({"role": "master"}, HEALTHY, 5461) == "master, 5461 slots"
    assert assess({"role": "slave", "master_link_status": "up"}, HEALTHY, 0) == "replica, in step"


@pytest.mark.parametrize(
    ("info", "cluster", "told"),
    [
        ({"role": "master"}, {"cluster_state": "fail", "cluster_slots_ok": "10923"}, "10923 of 16384 slots"),
        ({"role": "master"}, {"cluster_known_nodes": "5"}, "knows 5 nodes, expected 6"),
        ({"role": "slave", "master_link_status": "down"}, {}, "has not caught up"),
    ],
)
def test_what_is_not_whole_is_not_ready(info, cluster, told):
    with pytest.raises(NotReady, match=told):
        assess(info, {**HEALTHY, **cluster}, 0)
