"""The replica's core on a small replica of its own: PostgreSQL and the fault proxy, up in two seconds."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import psycopg
import pytest

from replica import faults, processes, start, state, status, stop
from replica.errors import DidNotStart, ForeignTarget, PortTaken
from replica.servers import SERVERS
from replica.supervision import Keeper

pytestmark = pytest.mark.without_search

SERVER = {server.name: server for server in SERVERS}


@pytest.fixture(scope="module")
def home():
    folder = Path(tempfile.mkdtemp(prefix="steward-small-"))
    folder.chmod(0o711)
    try:
        yield folder / "small"
    finally:
        if (folder / "small" / state.MARKER).exists():
            stop.down(folder / "small", SERVERS, [])
            state.remove(folder / "small")
        folder.rmdir()


@pytest.fixture
def small(home):
    """Up, and mended after whatever the test before did."""
    return start.up(home, SERVERS, ["postgres"], proxied=True)


def query(place, port=None, seconds=3):
    """One query as steward, through the proxy as clients go."""
    with psycopg.connect(
        host="127.0.0.1",
        port=port or place.client_port("postgres", "sql"),
        user="steward",
        password=place.secret("postgres.steward"),
        dbname="steward",
        connect_timeout=seconds,
    ) as connection:
        return connection.execute("select 40 + 2").fetchone()[0]


def pids(place):
    return {name: process.pid for name, process in Keeper(place.state).processes().items()}


def test_clients_reach_their_database_and_no_other(small):
    assert query(small) == 42
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(
            host="127.0.0.1",
            port=small.port("postgres", "sql"),
            user="steward",
            password=small.secret("postgres.steward"),
            dbname="prefect",
        )


def test_a_wrong_password_is_refused(small):
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(host="127.0.0.1", port=small.port("postgres", "sql"), user="steward", password="x")


def test_pages_carry_checksums_and_passwords_are_scram(small):
    with psycopg.connect(
        host="127.0.0.1",
        port=small.port("postgres", "sql"),
        user="postgres",
        password=small.secret("postgres.superuser"),
    ) as connection:
        assert connection.execute("show data_checksums").fetchone()[0] == "on"
        stored = connection.execute("select rolpassword from pg_authid where rolcanlogin").fetchall()
    assert all(password.startswith("SCRAM-SHA-256$") for (password,) in stored)


def test_every_listener_is_on_loopback(small):
    listening = [
        connection.laddr.ip
        for process, _ in processes.own(small.state)
        for connection in process.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    ]
    assert len(listening) >= 2
    assert set(listening) == {"127.0.0.1"}


def test_no_secret_is_in_an_argument(small):
    secrets = [path.read_text() for path in (small.state / "secrets").iterdir()]
    arguments = [" ".join(process.cmdline()) for process, _ in processes.own(small.state)]
    assert len(arguments) >= 3
    assert not [line for line in arguments for secret in secrets if secret in line]


def test_up_twice_changes_nothing(small):
    before = pids(small)
    start.up(small.state, SERVERS, ["postgres"])
    assert pids(small) == before


def test_a_killed_server_stays_down_until_up_mends_it(small):
    before = pids(small)
    fault = faults.kill(small.state, "postgres")
    assert before["postgres"] in fault.did["pids"]
    assert not psutil.pid_exists(before["postgres"])
    time.sleep(1.5)
    assert pids(small)["postgres"] == 0
    start.up(small.state, SERVERS, ["postgres"])
    assert query(small) == 42
    assert pids(small)["postgres"] != before["postgres"]


def test_a_server_that_dies_by_itself_is_started_again(small):
    before = pids(small)["postgres"]
    faults.kill(small.state, "postgres", restart=True)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and pids(small)["postgres"] in {0, before}:
        time.sleep(0.1)
    assert pids(small)["postgres"] not in {0, before}


def test_a_frozen_server_holds_its_port_and_answers_once_thawed(small):
    with faults.frozen(small.state, "postgres"):
        (row,) = status.rows(small, [SERVER["postgres"]])
        assert (row.state, row.healthy) == ("frozen", False)
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            query(small)
    assert query(small) == 42


def test_up_thaws_what_is_frozen(small):
    before = pids(small)
    faults.freeze(small.state, "postgres")
    start.up(small.state, SERVERS, ["postgres"])
    assert query(small) == 42
    assert pids(small) == before


def test_a_partition_makes_clients_time_out_and_healing_restores_them(small):
    with faults.partitioned(small.state, "postgres"):
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match="timeout"):
            query(small)
        assert time.monotonic() - began >= 2
        # Only the clients' side is cut: the server itself is well.
        assert query(small, port=small.port("postgres", "sql")) == 42
    assert query(small) == 42


def test_a_connection_open_before_a_partition_goes_on_after_it(small):
    with psycopg.connect(
        host="127.0.0.1",
        port=small.client_port("postgres", "sql"),
        user="steward",
        password=small.secret("postgres.steward"),
        dbname="steward",
    ) as connection:
        faults.partition(small.state, "postgres")
        threading.Timer(1.0, faults.reconnect, (small.state, "postgres")).start()
        began = time.monotonic()
        assert connection.execute("select 1").fetchone() == (1,)
        assert 0.9 <= time.monotonic() - began < 5


def test_a_slow_server_answers_late(small):
    began = time.monotonic()
    query(small)
    quick = time.monotonic() - began
    faults.slow(small.state, "postgres", delay_seconds=0.3)
    began = time.monotonic()
    query(small, seconds=20)
    # At least SCRAM's three answers and the query's own.
    assert time.monotonic() - began >= quick + 4 * 0.3
    faults.heal(small.state, "postgres")


def test_a_full_disk_is_met_by_the_server_and_undone(small):
    def write():
        with psycopg.connect(
            host="127.0.0.1",
            port=small.port("postgres", "sql"),
            user="steward",
            password=small.secret("postgres.steward"),
            dbname="steward",
        ) as connection:
            connection.execute(
                "create temporary table filled as select repeat('x', 500) from generate_series(1, 60000)"
            )

    write()
    # Above the 16 MiB of a write-ahead log's segment, so that a statement fails and not the whole server.
    with (
        faults.filled(small.state, "postgres", limit_bytes=17_000_000),
        pytest.raises(psycopg.Error, match="File too large"),
    ):
        write()
    write()


def test_processes_of_others_are_refused_and_live_on(small):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as foreign:
        for fault in (faults.kill, faults.freeze, faults.fill):
            with pytest.raises(ForeignTarget):
                fault(small.state, str(foreign.pid))
        assert psutil.Process(foreign.pid).status() != psutil.STATUS_STOPPED
        foreign.terminate()


def test_a_process_of_another_replica_is_refused(small, tmp_path):
    environment = {**os.environ, processes.TAG: str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], env=environment) as foreign:
        with pytest.raises(ForeignTarget):
            faults.kill(small.state, str(foreign.pid))
        foreign.terminate()


def test_a_taken_port_is_told_with_its_holder(small):
    faults.kill(small.state, "postgres")
    with (
        socket.create_server(("127.0.0.1", small.port("postgres", "sql"))),
        pytest.raises(PortTaken, match=f"is taken by pid {os.getpid()}"),
    ):
        start.up(small.state, SERVERS, ["postgres"])


def test_a_server_that_cannot_start_says_its_own_last_words(small):
    faults.kill(small.state, "postgres")
    version = small.folder("postgres") / "data" / "PG_VERSION"
    version.write_text("17\n")
    try:
        with pytest.raises(DidNotStart, match="database files are incompatible with server"):
            start.up(small.state, SERVERS, ["postgres"])
    finally:
        version.write_text("18\n")


def test_a_full_disk_met_while_preparing_is_told_as_one(small, monkeypatch):
    def prepare(place):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(place.folder("postgres")))

    monkeypatch.setattr(SERVER["postgres"], "prepare", prepare)
    with pytest.raises(DidNotStart, match="No space left on device") as caught:
        start.up(small.state, SERVERS, ["postgres"])
    assert "the disk is full" in caught.value.hint


def test_the_replica_comes_up_again_after_the_machine_crashed(small):
    """Every process gone at once, with their pid files, sockets and locks left behind."""
    victims = [process for process, _ in processes.own(small.state)]
    for process in victims:
        process.send_signal(signal.SIGSTOP)
    processes.send(victims, signal.SIGKILL)
    psutil.wait_procs(victims, timeout=10)
    assert (small.state / "supervisor.sock").exists()
    assert (small.folder("postgres") / "data" / "postmaster.pid").exists()
    start.up(small.state, SERVERS, ["postgres"])
    assert query(small) == 42


def test_what_outlived_its_supervisor_is_ended_before_a_new_start(small):
    orphan = pids(small)["postgres"]
    supervisor = Keeper(small.state).pid()
    psutil.Process(supervisor).kill()
    psutil.wait_procs([psutil.Process(supervisor)] if psutil.pid_exists(supervisor) else [], timeout=10)
    assert psutil.pid_exists(orphan)
    said = []
    start.up(small.state, SERVERS, ["postgres"], say=said.append)
    assert f"ended pid {orphan}, left over from an earlier run" in said
    assert query(small) == 42


def test_the_command_line_shows_faults_as_json_and_undoes_them_in_time(small):
    command = [sys.executable, "-m", "replica", "fault", "freeze", "postgres", "--seconds", "1", "--state", small.state]
    began = time.monotonic()
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert time.monotonic() - began >= 1
    freeze, heal = map(json.loads, said)
    assert (freeze["fault"], heal["fault"]) == ("freeze", "heal")
    assert pids(small)["postgres"] in freeze["did"]["pids"]
    assert freeze["undo"] == f"python -m replica fault thaw postgres --state {small.state}"
    assert query(small) == 42


def test_a_foreign_target_ends_the_command_with_what_was_seen(small):
    command = [sys.executable, "-m", "replica", "fault", "kill", "1", "--state", small.state]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 1
    assert "process 1 is not of the replica" in done.stderr
    assert "HINT" in done.stderr


def test_up_leaves_no_stream_of_its_caller_open(small):
    """`make demo | cat` must end although the replica goes on."""
    stop.down(small.state, SERVERS, [])
    command = f"{sys.executable} -m replica up --only postgres --state {small.state} | cat"
    done = subprocess.run(["sh", "-c", command], check=True, capture_output=True, text=True, timeout=60)
    assert "to stop:" in done.stdout
    assert query(small) == 42


def test_down_ends_every_process_and_up_brings_the_data_back(small):
    with psycopg.connect(
        host="127.0.0.1",
        port=small.port("postgres", "sql"),
        user="steward",
        password=small.secret("postgres.steward"),
        dbname="steward",
    ) as connection:
        connection.execute("create table if not exists kept as select 1 as number")
    stop.down(small.state, SERVERS, [])
    assert not list(processes.own(small.state))
    stop.down(small.state, SERVERS, [])
    start.up(small.state, SERVERS, ["postgres"])
    assert query(small) == 42
