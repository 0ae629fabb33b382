"""Real servers for the tests: one replica a test run, started when the first test asks for it.

`pytest --replica DIR` uses the replica at DIR instead, brings it up if need be and leaves it up: for quick turns at work.
"""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import hypothesis
import psutil
import pytest

from replica import inventory, start, state, stop
from replica.selection import select
from replica.server import Place
from replica.servers import SERVERS
from steward.errors import StewardError
from steward.settings import Settings, load
from tests import lanes
from tests.integration.fresh_database import superuser
from tests.working import rest, working

_PREFIX = "steward-test-"

# How long an example takes says how busy the machine is, and no test asserts time.
hypothesis.settings.register_profile("steward", deadline=None)
hypothesis.settings.load_profile("steward")

# Until all is collected: what is imported and collected stays, and to look through it again and again for what does not
# takes a third of the collection.
gc.disable()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--replica", type=Path, default=None, metavar="DIR", help="use the replica at DIR and leave it up")
    parser.addoption("--servers", default="", metavar="NAME,…", help="only these of its servers, and what they need")
    parser.addoption("--shared", type=Path, default=None, metavar="DIR", help="run what no other run has taken there")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--shared"):
        lanes.order(items)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    folder = session.config.getoption("--shared")
    # What could not be collected is pytest's own to tell.
    if not folder or session.testsfailed or session.config.option.collectonly:
        return None
    lanes.run(session, folder)
    return True


def _up(folder: Path, only: str) -> Place:
    try:
        return start.up(folder, SERVERS, [name for name in only.split(",") if name])
    except StewardError as error:
        # Never a skip: an absent server is a failure that says what to do about it.
        pytest.fail(f"the replica did not start\n{error}", pytrace=False)


def _remove(folder: Path) -> None:
    if (folder / "replica" / state.MARKER).exists():
        stop.down(folder / "replica", SERVERS, [])
    shutil.rmtree(folder)


def _remove_abandoned() -> None:
    """End the replicas of test runs that were killed before they could: their folders name the pid of their run."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*-*"):
        pid = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            _remove_alone(folder)


def _remove_alone(folder: Path) -> None:
    """Unless it is another user's, or another run of tests is at it, or was: several begin at the same time."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        # Gone, or nothing that this user's tests have left.
        return
    try:
        if os.fstat(handle).st_uid == os.geteuid() and _is_locked(handle) and folder.exists():
            _remove(folder)
    finally:
        os.close(handle)


def _is_locked(handle: int) -> bool:
    """Whether this process has the lock now, and no other."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@pytest.fixture(scope="session")
def replica(request: pytest.FixtureRequest) -> Generator[Place]:
    """The replica of this test run, every server up but the worker, which rests until `worker` is asked for. A test that
    damages a server mends it again.
    """
    only = request.config.getoption("--servers")
    if named := request.config.getoption("--replica"):
        yield _up(named.absolute(), only)
        return
    _remove_abandoned()
    # Not pytest's own temporary folder: it is closed to the user that PostgreSQL runs as when this runs as root.
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    folder.chmod(0o711)
    try:
        place = _up(folder / "replica", only)
        if "postgres" in {server.name for server in select(SERVERS, [name for name in only.split(",") if name])}:
            _spare_the_disk(place)
        rest(place)
        yield place
    finally:
        _send_what_is_logged()
        _remove(folder)


def _send_what_is_logged() -> None:
    """Now, while Prefect's server is up: this process would try to for a minute when it ends."""
    if handlers := sys.modules.get("prefect.logging.handlers"):
        handlers.APILogWorker.drain_all(timeout=5)


def _spare_the_disk(place: Place) -> None:
    """Let PostgreSQL not wait for the disk: a killed server loses nothing by that, only a machine without power would.

    No test can take a machine's power, and tests make and drop hundreds of databases: each is flushed whole before it goes,
    1 to 8 s on a busy disk in place of 0.1 s.
    """
    with superuser(load(inventory.settings_file(place))) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="module")
def worker(replica: Place) -> Generator[None]:
    """The replica's worker is at work while the module lasts: for what is deployed into its pool, and runs."""
    with working(replica):
        yield


@pytest.fixture
def proxied(replica: Place) -> Generator[Place]:
    """The replica with the fault proxy between its clients and servers, for `faults.partition` and `faults.slow`.

    Ask for it before `settings`: while it lasts, settings name the proxy's ports. The servers themselves stay as they are.
    """
    yield start.up(replica.state, SERVERS, ["proxies"], proxied=True)
    start.up(replica.state, SERVERS, ["postgres"], proxied=False)


@pytest.fixture
def settings(replica: Place) -> Settings:
    """The settings that the replica wrote for its own servers."""
    return load(inventory.settings_file(replica))


@pytest.fixture
def in_replica(replica: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """The replica, with this process's environment pointing at it: for flows and commands that read STEWARD_SETTINGS."""
    for name, value in inventory.environment(replica).items():
        monkeypatch.setenv(name, value)
    return replica
