"""The flag server: every SDK is told of every change, by every server; what is away or wrong costs nobody what they have."""

from __future__ import annotations

import json

import grpc
import pytest
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.evaluation_context import EvaluationContext
from openfeature.schemas.protobuf.flagd.sync.v1 import sync_pb2 as messages
from openfeature.schemas.protobuf.flagd.sync.v1 import sync_pb2_grpc as stubs
from psycopg.conninfo import conninfo_to_dict

from replica import inventory
from steward.clients.flag_store import change_flag, kill_flag, list_flags, read_flag, renew_lease
from steward.clients.postgres import connect
from steward.settings import load
from tests.integration.cable import cable
from tests.integration.flag_servers import FlagProcess, Stream, channel_to, flag_server, revision_of, stream
from tests.integration.flags_ground import WHO, flags_database, new_flag, soon, stored
from tests.integration.fresh_database import changed, superuser

pytestmark = pytest.mark.without_search

USERS = [EvaluationContext(f"user-{number}") for number in range(200)]


@pytest.fixture(scope="module")
def database(replica):
    with flags_database(load(inventory.settings_file(replica))) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def server(database, tmp_path_factory):
    with flag_server(database, tmp_path_factory.mktemp("flags")) as running:
        yield running


def expose(database, key, percent):
    with connect(database) as connection:
        now = read_flag(connection, key)
        flag = now.flag.exposing(percent, "on")
        return change_flag(connection, flag, who=WHO, why=f"to {percent} %", expected_version=now.version)


def kill(database, key):
    with connect(database) as connection:
        return kill_flag(connection, key, who=WHO, why="it burns")


def weight_of(document, key):
    """Of the variant `on`, in ten thousandths; 0 where the flag has no targeting. None where the server does not know it yet."""
    if key not in document["flags"]:
        return None
    return document["flags"][key].get("targeting", {"fractional": [["on", 0]]})["fractional"][0][1]


def test_a_change_reaches_an_sdk_by_push_and_so_does_a_kill(database, server):
    flag = stored(database, new_flag(metadata={"rollout": "17", "step": 2, "slow_ms": 85.5})).flag
    with stream(server) as sdk:
        sdk.until(lambda document: flag.key in document["flags"])
    host, _, port = server.settings.flags.sync.partition(":")
    provider = FlagdProvider(
        resolver_type=ResolverType.IN_PROCESS,
        host=host,
        port=int(port),
        tls=True,
        cert_path=str(server.settings.flags.ca_file),
        deadline_ms=20_000,
        retry_backoff_ms=100,
        retry_backoff_max_ms=250,
    )
    provider.attach(lambda *_: None)
    provider.initialize(EvaluationContext())
    try:
        # This one tells when the other, whose events are its own, has been pushed to as well.
        with stream(server) as other:
            details = provider.resolve_boolean_details(flag.key, False, USERS[0])
            assert {"rollout": "17", "step": 2, "slow_ms": 85.5}.items() <= details.flag_metadata.items()
            for change, share in (
                (lambda: expose(database, flag.key, 100), 1.0),
                (lambda: kill(database, flag.key), 0),
            ):
                change()
                revision = _newest(database)
                other.until(lambda document, at_least=revision: revision_of(document) >= at_least)
                while provider.resolve_boolean_details(flag.key, False, USERS[0]).flag_metadata["revision"] < revision:
                    pass
                got = [provider.resolve_boolean_details(flag.key, False, user).value for user in USERS]
                assert sum(got) / len(got) == share
    finally:
        provider.shutdown()


def _newest(database):
    with connect(database) as connection:
        return list_flags(connection).revision


def test_every_server_is_told(database, server, tmp_path):
    flag = stored(database, new_flag()).flag
    with flag_server(database, tmp_path) as other, stream(server) as one, stream(other) as two:
        expose(database, flag.key, 50)
        for each in (one, two):
            each.until(lambda document: weight_of(document, flag.key) == 5000)


def test_a_renewed_lease_is_pushed_and_makes_no_version(database, server):
    flag = stored(database, new_flag(lease_until=soon(30)), epoch=7).flag
    until = soon(50)
    with stream(server) as sdk:
        with connect(database) as connection:
            renew_lease(connection, flag.key, until, 7)
        sdk.until(lambda document: str(until) in json.dumps(document["flags"].get(flag.key)))
    with connect(database) as connection:
        assert read_flag(connection, flag.key).version == 1


def test_a_document_is_also_had_by_asking_for_it(database, server):
    flag = stored(database, new_flag()).flag
    with stream(server) as sdk, channel_to(server) as channel:
        sdk.until(lambda document: flag.key in document["flags"])
        stub = stubs.FlagSyncServiceStub(channel)
        fetched = stub.FetchAllFlags(messages.FetchAllFlagsRequest(), timeout=20).flag_configuration
        assert flag.key in json.loads(fetched)["flags"]


def test_nobody_is_served_without_tls(server):
    with grpc.insecure_channel(server.settings.flags.sync) as channel:
        stub = stubs.FlagSyncServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.FetchAllFlags(messages.FetchAllFlagsRequest(), timeout=20)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


def test_a_killed_server_comes_back_with_what_was_changed_meanwhile(database, tmp_path):
    flag = stored(database, new_flag()).flag
    with flag_server(database, tmp_path) as server:
        with stream(server) as sdk:
            sdk.until(lambda document: weight_of(document, flag.key) == 2500)
            server.end()
            expose(database, flag.key, 50)
            server.start()
        with stream(server) as sdk:
            assert weight_of(sdk.until(lambda _: True)[0], flag.key) == 5000


def test_a_server_that_is_told_to_stop_ends_at_once_with_streams_open(database, tmp_path):
    with flag_server(database, tmp_path) as server, stream(server) as sdk:
        sdk.until(lambda _: True)
        assert server.end(15) == 0


@pytest.mark.parametrize("fault", ["pull", "hold"])
def test_while_the_database_is_away_what_was_read_last_is_served_and_it_is_said(database, tmp_path, fault):
    flag = stored(database, new_flag()).flag
    port = int(conninfo_to_dict(database.postgres.url)["port"])
    with cable(port) as line:
        url = database.postgres.url.replace(f":{port}/", f":{line.port}/")
        with flag_server(changed(database, "postgres", url=url), tmp_path) as server, stream(server) as before:
            before.until(lambda document: weight_of(document, flag.key) == 2500)
            getattr(line, fault)()
            server.wait_for(lambda status, told: status == 200 and "away for" in told)
            expose(database, flag.key, 50)
            # Who comes meanwhile gets what there is.
            with stream(server) as sdk:
                assert weight_of(sdk.until(lambda _: True)[0], flag.key) == 2500
            line.put_back()
            before.until(lambda document: weight_of(document, flag.key) == 5000)
            assert "database: answers" in server.wait_for(lambda _, told: "answers" in told)


def test_a_server_that_never_read_the_store_serves_nothing_rather_than_no_flags(database, tmp_path):
    port = int(conninfo_to_dict(database.postgres.url)["port"])
    with cable(port) as line:
        line.pull()
        url = database.postgres.url.replace(f":{port}/", f":{line.port}/")
        process = FlagProcess(changed(database, "postgres", url=url), tmp_path)
        try:
            process.start(until_healthy=False)
            assert "nothing to serve yet" in process.wait_for(lambda status, _: status == 503)
            with stream(process) as sdk:
                line.put_back()
                sdk.until(lambda _: True)
        finally:
            process.close()


def test_an_older_store_never_replaces_what_was_served_and_a_change_of_it_does(replica, tmp_path):
    """As after a restore from a backup: the revision is of then, and so are the flags."""
    with (
        flags_database(load(inventory.settings_file(replica))) as database,
        flag_server(database, tmp_path) as server,
        stream(server) as sdk,
    ):
        flag = stored(database, new_flag()).flag
        expose(database, flag.key, 50)
        newest = sdk.until(lambda document: weight_of(document, flag.key) == 5000)[-1]
        name = conninfo_to_dict(database.postgres.url)["dbname"]
        with superuser(database, name) as root:
            root.execute("UPDATE flags.revision SET number = number - 1000")
        lines = server.wait_for(lambda _, told: "behind" in told)
        assert lines[0].startswith(f"ok: revision {revision_of(newest)}")
        with stream(server) as late:
            assert late.until(lambda _: True)[0] == newest
        kill(database, flag.key)
        later = sdk.until(lambda document: weight_of(document, flag.key) == 0)
        assert [revision_of(each) > revision_of(newest) for each in later] == [True]
        server.wait_for(lambda _, told: "database: answers" in told)


def test_a_row_that_is_no_flag_costs_no_other_and_stays_what_it_was(database, server):
    """Of a newer Steward, say. Its kill counts all the same."""
    broken, other = stored(database, new_flag()).flag, stored(database, new_flag()).flag
    name = conninfo_to_dict(database.postgres.url)["dbname"]
    with stream(server) as sdk:
        sdk.until(lambda document: {broken.key, other.key} <= document["flags"].keys())
        with superuser(database, name) as root, root.transaction():
            root.execute(
                "INSERT INTO flags.versions SELECT key, 2, state || '{\"newer\": 1}', 'someone', 'by hand'"
                " FROM flags.flags WHERE key = %s",
                [broken.key],
            )
            root.execute(
                "UPDATE flags.flags SET version = 2, state = state || '{\"newer\": 1}' WHERE key = %s", [broken.key]
            )
        expose(database, other.key, 50)
        document = sdk.until(lambda document: weight_of(document, other.key) == 5000)[-1]
        assert weight_of(document, broken.key) == 2500
        server.wait_for(lambda status, told: status == 200 and f"refused: {broken.key}: newer" in told)
        kill(database, broken.key)
        sdk.until(lambda document: weight_of(document, broken.key) == 0)


def test_an_sdk_that_does_not_read_costs_no_other_anything(database, server):
    padding = {"on": {"text": "x" * 100_000}, "off": {"text": ""}}
    flag = stored(database, new_flag().changed(variants=padding)).flag
    # With as little room on the way as HTTP/2 has: what is not read soon waits at the server.
    stuck = [Stream(server, bdp_probe=0, lookahead_bytes=65_535) for _ in range(5)]
    try:
        with stream(server) as sdk:
            for percent in range(30, 60):
                expose(database, flag.key, percent)
                sdk.until(lambda document, weight=percent * 100: weight_of(document, flag.key) == weight)
            # What it skipped it does not need: it goes on with the newest.
            stuck[0].read()
            got = stuck[0].until(lambda document: weight_of(document, flag.key) == 5900)
            assert len(got) < 30
    finally:
        for each in stuck:
            each.close()
