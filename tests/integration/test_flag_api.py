"""The flag server's HTTP API: who may do what, what becomes of it, and how refusals are told."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from replica import inventory
from steward.settings import load
from tests.integration.cable import cable
from tests.integration.flag_servers import answer_of, ask, flag_server, stream
from tests.integration.flags_ground import flags_database, new_flag, soon, stored
from tests.integration.fresh_database import changed

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def database(replica):
    with flags_database(load(inventory.settings_file(replica))) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def server(database, tmp_path_factory):
    with flag_server(database, tmp_path_factory.mktemp("flags")) as running:
        yield running


def _token(database, name):
    return Path(database.flags.tokens[name].token.removeprefix("file:")).read_text().strip()


@pytest.fixture(scope="module")
def operator(database):
    return _token(database, "operator")


@pytest.fixture(scope="module")
def viewer(database):
    return _token(database, "viewer")


def definition(percent=25, **more):
    weights = [["on", percent * 100], ["off", 10_000 - percent * 100]]
    return {"variants": {"on": True, "off": False}, "off": "off", "split": {"weights": weights}, **more}


def put(server, key, token, *, percent=25, version=0, why="a trial", **more):
    body = {"flag": definition(percent, **more), "why": why, "expected_version": version}
    return ask(server, "PUT", f"/flags/{key}", body, token=token)


def test_a_flag_is_made_changed_killed_and_restored_and_its_history_says_by_whom(server, operator):
    key = new_flag().key
    assert put(server, key, operator)[0] == 200
    status, told = put(server, key, operator, percent=50, version=1, why="it does well")
    assert (status, told["version"], told["exposure_percent"]) == (200, 2, 50.0)
    assert ask(server, "POST", f"/flags/{key}/kill", {"why": "it burns"}, token=operator) == (
        200,
        {"key": key, "version": 3, "killed": True},
    )
    body = {"version": 2, "why": "put out", "expected_version": 3}
    status, told = ask(server, "POST", f"/flags/{key}/restore", body, token=operator)
    assert (status, told["version"], told["killed"], told["exposure_percent"]) == (200, 4, False, 50.0)
    _, history = ask(server, "GET", f"/flags/{key}/history", token=operator)
    assert [(each["version"], each["who"], each["why"]) for each in history["versions"]] == [
        (4, "operator", "put out"),
        (3, "operator", "it burns"),
        (2, "operator", "it does well"),
        (1, "operator", "a trial"),
    ]


def test_what_was_read_can_be_written_back_and_changes_nothing(database, server, operator):
    flag = stored(database, new_flag(lease_until=soon(), metadata={"step": 2})).flag
    _, told = ask(server, "GET", f"/flags/{flag.key}", token=operator)
    body = {"flag": told["flag"], "why": "as it is", "expected_version": 1}
    assert ask(server, "PUT", f"/flags/{flag.key}", body, token=operator) == (200, told)


def test_the_list_is_what_is_served(database, server, viewer):
    flag = stored(database, new_flag(description="words")).flag
    with stream(server) as sdk:
        sdk.until(lambda document: flag.key in document["flags"])
    status, told = ask(server, "GET", "/flags", token=viewer)
    assert (status, told["who"], told["may_write"], told["database"]) == (200, "viewer", False, "")
    (found,) = [each for each in told["flags"] if each["key"] == flag.key]
    assert (found["version"], found["killed"], found["flag"]["description"]) == (1, False, "words")


@pytest.mark.parametrize("presented", ["", "Bearer", "Bearer wrong", "Basic {token}", "Bearer {token}x"])
def test_nobody_reads_without_a_token(server, viewer, presented):
    import http.client  # noqa: PLC0415  for a header that the helper would not send

    connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=30)
    try:
        connection.request("GET", "/flags", headers={"Authorization": presented.format(token=viewer)})
        answer = connection.getresponse()
        assert (answer.status, answer.getheader("www-authenticate")) == (401, "Bearer")
        assert viewer not in answer.read().decode()
    finally:
        connection.close()


def test_a_reader_changes_nothing(database, server, viewer):
    key = stored(database, new_flag()).flag.key
    for method, path, body in (
        ("PUT", f"/flags/{key}", {"flag": definition(50), "why": "w", "expected_version": 1}),
        ("POST", f"/flags/{key}/kill", {"why": "w"}),
        ("POST", f"/flags/{key}/restore", {"version": 1, "why": "w", "expected_version": 1}),
    ):
        status, told = ask(server, method, path, body, token=viewer)
        assert (status, told["detail"]) == (403, "viewer may read; operator may change flags")
    assert ask(server, "GET", f"/flags/{key}/history", token=viewer)[1]["versions"][0]["version"] == 1


def test_a_lost_update_is_refused_with_what_to_do(server, operator):
    key = new_flag().key
    put(server, key, operator)
    put(server, key, operator, percent=50, version=1)
    status, headers, told = answer_of(
        server,
        "PUT",
        f"/flags/{key}",
        {"flag": definition(100), "why": "late", "expected_version": 1},
        token=operator,
    )
    assert (status, headers["content-type"]) == (409, "application/problem+json")
    assert told == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": f"flag {key} is at version 2; expected version 1",
        "hint": "read it again, see its history, and decide anew whether to change it",
    }


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("{", "the body is not what this request needs"),
        ({"flag": definition(), "why": "", "expected_version": 0}, "why: String should have at least 1 character"),
        ({"flag": definition(), "expected_version": 0}, "why: Field required"),
        ({"flag": definition(), "why": "w", "expected_version": 0, "who": "me"}, "who: Extra inputs"),
        ({"flag": definition(lease_until=5), "why": "w", "expected_version": 0}, "says nothing of a lease"),
        ({"flag": definition(key="other"), "why": "w", "expected_version": 0}, "the body is of another flag"),
        ({"flag": definition(off="neither"), "why": "w", "expected_version": 0}, "gives neither, which it does not"),
        ({"flag": {"variants": {}}, "why": "w", "expected_version": 0}, "cannot be read"),
        ({"flag": definition(), "why": " ", "expected_version": 0}, "why is empty"),
    ],
)
def test_what_cannot_be_is_refused_in_words_and_makes_nothing(server, operator, body, detail):
    key = new_flag().key
    status, told = ask(server, "PUT", f"/flags/{key}", body, token=operator)
    assert status == 422
    assert detail in told["detail"]
    assert ask(server, "GET", f"/flags/{key}", token=operator)[0] == 404


def test_a_change_that_would_flip_users_is_refused(server, operator):
    key = new_flag().key
    put(server, key, operator, percent=50)
    status, told = put(server, key, operator, percent=5, version=1)
    assert (status, "would have the buckets" in told["detail"]) == (422, True)


def test_a_change_keeps_the_lease_and_the_kill(database, server, operator):
    flag = stored(database, new_flag(lease_until=soon())).flag
    assert put(server, flag.key, operator, percent=50, version=1)[1]["lease_until"] == flag.lease_until
    ask(server, "POST", f"/flags/{flag.key}/kill", {"why": "it burns"}, token=operator)
    assert put(server, flag.key, operator, percent=60, version=3)[1]["killed"]
    assert not put(server, flag.key, operator, percent=60, version=4, killed=False)[1]["killed"]


def test_a_lease_that_is_over_can_be_dropped_and_one_that_lives_cannot(database, server, operator):
    over, living = (
        stored(database, new_flag(lease_until=soon(-5))).flag,
        stored(database, new_flag(lease_until=soon())).flag,
    )
    assert put(server, over.key, operator, percent=50, version=1, lease_until=None)[1]["lease_until"] is None
    assert put(server, living.key, operator, percent=50, version=1, lease_until=None)[0] == 422
    assert put(server, over.key, operator, percent=50, version=2, lease_until=soon())[0] == 422


def test_paths_and_bodies_that_are_not_there_or_too_large(server, operator):
    assert ask(server, "GET", "/flags/none", token=operator)[0] == 404
    assert ask(server, "GET", "/nothing", token=operator)[1]["status"] == 404
    assert ask(server, "DELETE", "/flags/none", token=operator)[1]["status"] == 405
    assert ask(server, "POST", "/flags/none/kill", {"why": "w"}, token=operator)[0] == 404
    assert ask(server, "PUT", "/flags/big", "x" * 300_000, token=operator)[0] == 413


def test_while_the_database_is_away_the_list_is_shown_and_a_change_says_to_come_again(database, tmp_path, operator):
    stored(database, new_flag())
    port = int(database.postgres.url.rpartition(":")[2].partition("/")[0])
    with cable(port) as line:
        url = database.postgres.url.replace(f":{port}/", f":{line.port}/")
        with flag_server(changed(database, "postgres", url=url), tmp_path) as server:
            line.pull()
            server.wait_for(lambda _, told: "away for" in told)
            status, told = ask(server, "GET", "/flags", token=operator)
            assert (status, bool(told["flags"])) == (200, True)
            assert "PostgreSQL" in told["database"]
            status, headers, told = answer_of(server, "POST", "/flags/any/kill", {"why": "w"}, token=operator)
            assert (status, headers["retry-after"]) == (503, "1")
            line.put_back()
            line.hold()
            # It hangs: whoever wants a flag dead hears within seconds that it is not.
            status, headers, told = answer_of(server, "POST", "/flags/any/kill", {"why": "w"}, token=operator)
            assert (status, headers["retry-after"]) == (503, "1")
            assert "steward_flags_database_up 0.0" in ask(server, "GET", "/metrics")[1]


def test_the_page_runs_its_own_script_and_takes_nothing_from_elsewhere(server):
    status, headers, html = answer_of(server, "GET", "/")
    policy = dict(each.split(" ", 1) for each in headers["content-security-policy"].split("; "))
    assert (status, policy["default-src"], policy["connect-src"], policy["frame-ancestors"]) == (
        200,
        "'none'",
        "'self'",
        "'none'",
    )
    (script,) = re.findall("<script>(.*?)</script>", html, flags=re.DOTALL)
    assert policy["script-src"] == f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
    assert not re.findall(r"https?://|src=|innerHTML|\bstyle=|\son[a-z]+=\"", html)
