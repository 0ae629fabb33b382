"""Live traffic on real servers, and the check that finds whatever is not as it was acknowledged."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import psutil
import pytest
import tomli_w

from demo.customers import writelog
from demo.customers.checking import check_writes
from demo.customers.ground import opened
from demo.customers.seeding import seed_customers
from demo.customers.traffic import TrafficSilent, direct_traffic, live_traffic
from replica import faults, inventory, start
from replica.servers import SERVERS
from steward.settings import load
from tests.integration.fresh_customers import fresh_customers

pytestmark = pytest.mark.without_search

TENANTS, ROWS = 4, 400


@pytest.fixture(scope="module")
def laid(replica):
    with fresh_customers(load(inventory.settings_file(replica))) as settings:
        seed_customers(settings, TENANTS, ROWS)
        yield settings


@pytest.fixture(scope="module")
def tenants():
    return [f"customer-{number:04}" for number in range(1, TENANTS + 1)]


@pytest.fixture(scope="module")
def file(laid, tmp_path_factory):
    """The settings as a process is told them."""
    path = tmp_path_factory.mktemp("settings") / "settings.toml"
    path.write_text(tomli_w.dumps(laid.model_dump(mode="json", exclude_none=True)))
    return path


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture(scope="module")
def written(laid, file, tenants, tmp_path_factory):
    """Traffic that has ended, over HTTP and two processes of the application."""
    folder = tmp_path_factory.mktemp("traffic")
    with live_traffic(file, laid, folder, tenants, rate=100, applications=2) as traffic:
        until(lambda: traffic.acknowledged() >= 60)
    return traffic


def test_every_acknowledged_write_is_there_and_no_request_failed(laid, written):
    checked = check_writes(laid, written.log)
    assert checked.faultless
    assert checked.acknowledged == written.acknowledged() >= 60
    told = written.summary()
    assert told["failed"] == 0, told["failures"]
    assert set(told["milliseconds"]) == {"all", "create", "read", "search", "update"}


def test_the_users_tell_what_they_did_in_their_last_line(written):
    last = json.loads((written.folder / "users.log").read_text().splitlines()[-1])
    assert last == {**written.summary(), "acknowledged_writes": written.acknowledged()}


def test_no_process_of_it_is_left(written):
    assert written.process.poll() == 0
    assert not any(psutil.pid_exists(each.pid) for each in written.served)


def test_neither_log_nor_times_show_a_value(written):
    for path in written.folder.glob("*.*"):
        assert b"@" not in path.read_bytes(), path


FAULTS = {
    "put back as it was": (
        "email = old.email, email_index = old.email_index, born = old.born, notes = old.notes",
        "lost",
    ),
    "one bit of it damaged": ("notes = set_byte(c.notes, 60, get_byte(c.notes, 60) # 1)", "unreadable"),
    "of another row": ("born = other.born", "unreadable"),
    "an index that is left behind": ("email_index = old.email_index", "unfound"),
}


@pytest.mark.parametrize(("change", "kind"), FAULTS.values(), ids=FAULTS)
def test_a_row_that_is_not_as_it_was_acknowledged_is_named(laid, tenants, tmp_path, change, kind):
    with opened(laid) as engine, engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS old")
        connection.exec_driver_sql("CREATE TABLE old AS SELECT * FROM customers")
    with direct_traffic(laid, tmp_path, tenants, rate=200) as traffic:
        until(lambda: victims(laid, traffic))
    victim, *_ = victims(laid, traffic)
    assert check_writes(laid, traffic.log).faultless
    with spoilt(laid, victim, change):
        checked = check_writes(laid, traffic.log)
    found = {name: [fault.row for fault in getattr(checked, name)] for name in ("lost", "unreadable", "unfound")}
    assert found == {"lost": [], "unreadable": [], "unfound": []} | {kind: [victim]}
    assert not checked.faultless


@contextmanager
def spoilt(settings, victim, change):
    """Mended afterwards: users of later tests would find the fault."""
    spoil = f"""
        UPDATE customers c SET {change} FROM old, old other
        WHERE c.id = %s AND old.id = c.id
        AND other.id = (SELECT id FROM old WHERE id <> c.id AND born IS NOT NULL LIMIT 1)
    """  # noqa: S608  the changes above
    columns = "email, email_index, born, notes"
    with opened(settings) as engine:
        with engine.begin() as connection:
            before = connection.exec_driver_sql(f"SELECT {columns}, id FROM customers WHERE id = %s", (victim,)).one()  # noqa: S608
            assert connection.exec_driver_sql(spoil, (victim,)).rowcount == 1
        yield
        with engine.begin() as connection:
            mend = f"UPDATE customers SET ({columns}) = (%s, %s, %s, %s) WHERE id = %s"  # noqa: S608  those columns
            connection.exec_driver_sql(mend, tuple(before))


def untrue(traffic):
    """Answers that cannot be true, as the users saw them: all other failures are of a server that was away or busy."""
    return [reason for reason in traffic.summary()["failures"] if "other values" in reason or "did not find" in reason]


def victims(settings, traffic):
    """Rows that were there before the traffic, that it changed, and that have something in each column."""
    query = "SELECT id FROM customers JOIN old USING (id) WHERE id = ANY(%s) AND customers.notes IS NOT NULL"
    with opened(settings) as engine, engine.connect() as connection:
        return sorted(connection.exec_driver_sql(query, (updated(traffic),)).scalars())


def updated(traffic):
    return sorted(
        {write.row for write in writelog.read(traffic.log) if write.op == "update" and write.event == "acknowledged"}
    )


def test_a_row_that_is_gone_is_lost(laid, tenants, tmp_path):
    with direct_traffic(laid, tmp_path, tenants, rate=200) as traffic:
        until(lambda: updated(traffic))
    with opened(laid) as engine, engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM customers WHERE id = %s", (updated(traffic)[0],))
    (fault,) = check_writes(laid, traffic.log).lost
    assert fault.seen == "there is no such row"


def test_who_is_killed_loses_nothing_neither_the_application_nor_its_users(laid, file, tenants, tmp_path):
    """The application's requests fail meanwhile; of the users every acknowledged write is in the log."""
    with live_traffic(file, laid, tmp_path, tenants, rate=100, applications=2) as traffic:
        until(lambda: traffic.acknowledged() >= 10)
        os.kill(traffic.served[0].pid, signal.SIGKILL)
        until(lambda: traffic.summary()["failed"] >= 5)
        before = traffic.acknowledged()
        until(lambda: traffic.acknowledged() >= before + 10)
        assert all(reason.startswith("no answer: ") for reason in traffic.summary()["failures"])
        traffic.process.kill()
        traffic.process.wait()
    checked = check_writes(laid, traffic.log)
    assert checked.faultless
    assert checked.acknowledged >= before + 10


def test_a_database_that_is_killed_and_comes_back_has_every_acknowledged_write(laid, replica, tenants, tmp_path):
    with direct_traffic(laid, tmp_path, tenants, rate=100) as traffic:
        until(lambda: traffic.acknowledged() >= 10)
        faults.kill(replica.state, "postgres")
        start.up(replica.state, SERVERS, ["postgres"])
        before = traffic.acknowledged()
        until(lambda: traffic.acknowledged() >= before + 20)
    assert traffic.summary()["failed"] > 0
    assert untrue(traffic) == []
    assert check_writes(laid, traffic.log).faultless


def test_direct_users_begin_at_once(laid, tenants, tmp_path):
    with direct_traffic(laid, tmp_path, tenants, rate=200) as traffic:
        until(lambda: traffic.times.exists() and traffic.times.stat().st_size)


def test_an_application_that_never_answers_is_told(laid, tmp_path, tenants):
    with pytest.raises(TrafficSilent), live_traffic(tmp_path / "absent.toml", laid, tmp_path, tenants):
        pass


def test_users_and_application_end_with_whoever_started_them(laid, file, tenants, tmp_path):
    program = (
        "import sys, time; from pathlib import Path; from steward.settings import load\n"
        "from demo.customers.traffic import live_traffic\n"
        "file, folder, *tenants = sys.argv[1:]\n"
        "with live_traffic(Path(file), load(Path(file)), Path(folder), tenants) as traffic:\n"
        "    print(traffic.process.pid, *(each.pid for each in traffic.served), flush=True); time.sleep(600)\n"
    )
    command = [sys.executable, "-c", program, str(file), str(tmp_path), *tenants]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        pids = [int(word) for word in starter.stdout.readline().split()]
        assert len(pids) == 2
        starter.kill()
    until(lambda: not any(map(psutil.pid_exists, pids)))


def test_what_is_checked_at_the_command_line_is_told_by_its_exit_code(file, written):
    command = [sys.executable, "-m", "demo.customers.checking", str(written.log)]
    done = subprocess.run(
        command, env={**os.environ, "STEWARD_SETTINGS": str(file)}, capture_output=True, text=True, check=False
    )
    figures = json.loads(done.stdout.splitlines()[-1])
    faults_found = sum(figures[name] for name in ("lost", "unreadable", "unfound"))
    assert done.returncode == (1 if faults_found else 0)
    assert figures["acknowledged_writes"] == written.acknowledged()
