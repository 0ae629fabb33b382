"""What SDKs are told of, as the flag server says it: each change of the store, a renewed lease too; nothing by one that is away."""

import signal
import time

import pytest

from replica import inventory
from steward.clients.flag_store import renew_lease
from steward.clients.flags_served import FlagsServed, require_served, stored_revision
from steward.clients.postgres import connect
from steward.rollout.preconditions import NotReady
from steward.settings import load
from tests.integration.flag_servers import flag_server
from tests.integration.flags_ground import flags_database, new_flag, soon, stored
from tests.integration.fresh_database import changed

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def server(replica, tmp_path_factory):
    with (
        flags_database(load(inventory.settings_file(replica))) as fresh,
        flag_server(fresh, tmp_path_factory.mktemp("flags")) as running,
    ):
        yield running


@pytest.fixture
def served(server):
    with FlagsServed(server.settings) as asked:
        yield asked


def wait_for(is_so):
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_renewed_lease_is_another_revision_and_is_served(server, served):
    flag = stored(server.settings, new_flag(lease_until=soon(5))).flag
    with connect(server.settings) as db:
        before = stored_revision(db)
        renew_lease(db, flag.key, soon(60), epoch=1)
    with connect(server.settings) as db:
        after = stored_revision(db)
    assert after > before
    wait_for(lambda: served.revision() == after)


def test_of_several_servers_the_one_that_is_behind_counts(server, tmp_path):
    with flag_server(server.settings, tmp_path) as second:
        url = second.settings.flags.url
        both = changed(server.settings, "flags", servers=(server.settings.flags.url, url))
        with FlagsServed(both) as asked:
            wait_for(lambda: asked.revision() is not None)
            require_served(both)
            second._process.send_signal(signal.SIGSTOP)
            try:
                wait_for(lambda: asked.revision() is None)
                with pytest.raises(NotReady, match=url):
                    require_served(both)
            finally:
                second._process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL], ids=str)
def test_a_server_that_is_frozen_or_gone_serves_nothing_and_no_rollout_begins(server, served, number):
    assert served.revision() is not None
    require_served(server.settings)
    server._process.send_signal(number)
    try:
        wait_for(lambda: served.revision() is None)
        with pytest.raises(NotReady, match="no flag server"):
            require_served(server.settings)
    finally:
        server._process.send_signal(signal.SIGCONT)


def test_without_a_flag_server_in_the_settings_nothing_is_served(server):
    with FlagsServed(server.settings.model_copy(update={"flags": None})) as asked:
        assert asked.revision() is None
