"""The status pages of rollouts, from a flag server that runs: what they show, and to whom."""

from __future__ import annotations

import base64
import hashlib
import http.client
import re
import secrets
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest

from replica import inventory
from steward.clients import rollouts
from steward.clients.postgres import connect
from steward.clients.rollouts_said import keep_judgement, say
from steward.rollout.judge import judge
from steward.rollout.plan import Plan
from steward.rollout.readings import ArmCounts
from steward.settings import load
from tests.integration.flag_servers import flag_server
from tests.integration.flags_ground import flags_database
from tests.unit.rollout.looks import look

pytestmark = pytest.mark.without_search

SECONDS = 5
NASTY = '<script>alert("shop-2")</script>'


@pytest.fixture(scope="module")
def database(replica):
    with flags_database(load(inventory.settings_file(replica))) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def server(database, tmp_path_factory):
    with flag_server(database, tmp_path_factory.mktemp("flags")) as running:
        yield running


@pytest.fixture(scope="module")
def token(database):
    return Path(database.flags.tokens["viewer"].token.removeprefix("file:")).read_text().strip()


def get(server, path, *, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=SECONDS)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer, answer.read().decode()
    finally:
        connection.close()


def enter(server, token, following=""):
    form = urlencode({"token": token, "next": following})
    return get(server, "/rollouts/session", method="POST", body=form)


@pytest.fixture
def rollout(database):
    """One that exposes 5 % of users and has been looked at a few times, well and not readable."""
    with connect(database) as db:
        begun = rollouts.begin(
            db,
            operation_id=secrets.randbelow(1 << 40),
            epoch=7,
            environment=f"production-{secrets.token_hex(4)}",
            release=NASTY,
            flag="new-search",
            variant="on",
            plan=Plan(),
            colours=("green", "blue"),
            previous_release="shop-1",
        )
        db.execute(
            "UPDATE steward.rollouts SET state = 'exposing', step = 1, exposure = 5, "
            "lease_until = clock_timestamp() + lease WHERE id = %s",
            [begun.id],
        )
        now, before = time.time(), None
        for age, counted in ((20, (500, 5, 25)), (15, (600, 6, 30)), (10, None), (5, (1000, 10, 50))):
            at = now - age
            reading = look(counted or (0, 0), at=at, begun_at=now - 60)
            reading = reading if counted else reading.model_copy(update={"on": ArmCounts()})
            before = judge(reading, Plan(), at, before)
            keep_judgement(db, begun, before)
        say(db, begun, "approve", who="Mara", why="<b>well</b>", via="form")
    return begun


def test_nobody_reads_without_a_token_and_none_is_ever_in_an_address(server, rollout, token):
    path = f"/rollouts/{rollout.id}"
    refused, page = get(server, path)
    assert refused.status == 401
    assert 'method="post"' in page
    assert NASTY not in page
    assert enter(server, "guessed")[0].status == 401
    assert get(server, path, authorization="Bearer guessed")[0].status in {401, 403}
    assert get(server, f"{path}?token={token}")[0].status == 401
    assert get(server, path, authorization=f"Bearer {token}")[0].status == 200


def test_a_session_reads_without_script_and_goes_only_where_its_owner_was_going(server, rollout, token):
    entered, _ = enter(server, token, str(rollout.id))
    assert (entered.status, entered.headers["location"]) == (303, f"/rollouts/{rollout.id}")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "Path=/rollouts" in cookie
    assert token not in cookie
    session = cookie.partition(";")[0]
    assert get(server, entered.headers["location"], cookie=session)[0].status == 200
    assert get(server, "/flags", cookie=session)[0].status == 401
    # What is sealed is neither lengthened nor given to another.
    name, expires, seal = session.split(".")
    assert get(server, "/rollouts", cookie=f"{name}.{int(expires) + 1}.{seal}")[0].status == 401
    other = "rollouts=" + base64.urlsafe_b64encode(b"operator").decode().rstrip("=")
    assert get(server, "/rollouts", cookie=f"{other}.{expires}.{seal}")[0].status == 401
    for elsewhere in ("//elsewhere.example", "https://elsewhere.example", "../flags"):
        assert enter(server, token, elsewhere)[0].headers["location"] == "/rollouts"


def test_the_page_tells_where_it_is_why_and_what_both_arms_do(server, rollout, token):
    answer, page = get(server, f"/rollouts/{rollout.id}", authorization=f"Bearer {token}")
    assert answer.headers["cache-control"] == "no-store"
    assert "5 % of users have it" in page
    assert "10 of 1,000" in page
    assert "285 of 28,500" in page
    assert re.search(r'data-left="[0-9.]+"', page)
    assert "Mara" in page
    # For screens and for phones, each with a gap where it was not readable.
    assert page.count('<svg xmlns="http://www.w3.org/2000/svg" class="arms"') == 2 * 2
    assert page.count('fill="url(#gap-error-720)"') == 1
    # Names are text.
    assert "&lt;script&gt;alert" in page
    assert NASTY not in page
    assert "&lt;b&gt;well" in page


def test_the_page_lets_its_own_style_and_script_run_and_nothing_else(server, rollout, token):
    answer, page = get(server, f"/rollouts/{rollout.id}", authorization=f"Bearer {token}")
    policy = answer.headers["content-security-policy"]
    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", page, flags=re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not re.search(r'\son[a-z]+="|\sstyle="|src="|url\(h', page)


def test_all_rollouts_are_listed_and_a_number_that_is_none_is_told(server, rollout, token):
    answer, page = get(server, "/rollouts", authorization=f"Bearer {token}")
    assert answer.status == 200
    assert f'href="/rollouts/{rollout.id}"' in page
    missing, page = get(server, "/rollouts/999999999", authorization=f"Bearer {token}")
    assert missing.status == 404
    assert "there is no rollout 999999999" in page


def test_a_lease_that_is_over_shows_that_nobody_has_it(database, server, rollout, token):
    with connect(database) as db:
        db.execute("UPDATE steward.rollouts SET lease_until = clock_timestamp() WHERE id = %s", [rollout.id])
    _, page = get(server, f"/rollouts/{rollout.id}", authorization=f"Bearer {token}")
    assert "nobody has it any more" in page
    assert "<dd>0 %</dd>" in page
