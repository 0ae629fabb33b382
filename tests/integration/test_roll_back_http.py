"""Going back, approving and overriding over HTTP: by a token, and by the buttons of the status pages."""

from __future__ import annotations

import html
import http.client
import re
import time
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from services.flags import rollout_acts
from services.flags.rollout_acts import RolloutActs
from services.flags.rollouts import RolloutPages
from services.flags.tokens import Tokens
from steward.clients.postgres import connect
from steward.clients.rollouts_said import keep_judgement, said
from steward.rollout.judge import judge
from steward.rollout.plan import Plan
from tests.integration.flag_servers import answer_of, flag_server
from tests.integration.roll_back_ground import AFTER, BEFORE, eventually, ground, serving
from tests.unit.rollout.looks import GOOD, look

pytestmark = pytest.mark.without_search

QUIET = {"on": (3, 0, 0), "off": (57, 0, 3)}


@pytest.fixture(scope="module")
def here(replica):
    with serving(replica) as database, ground(database) as found:
        yield found


@pytest.fixture(scope="module")
def server(here, tmp_path_factory):
    with flag_server(here.settings, tmp_path_factory.mktemp("flags")) as running:
        yield running


def token_of(here, name):
    return Path(here.settings.flags.tokens[name].token.removeprefix("file:")).read_text().strip()


@pytest.fixture(scope="module")
def writer(here):
    return token_of(here, "operator")


@pytest.fixture(scope="module")
def reader(here):
    return token_of(here, "viewer")


class Browser:
    """Without script: forms and a cookie."""

    def __init__(self, server, token) -> None:
        self._server, self._cookie = server, ""
        answer, _ = self.post("/rollouts/session", token=token)
        self._cookie = answer.headers["set-cookie"].partition(";")[0]

    def get(self, path):
        return self._ask("GET", path, None)

    def post(self, path, **fields):
        return self._ask("POST", path, urlencode(fields))

    def _ask(self, method, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self._server.http, timeout=90)
        try:
            headers = {
                "Cookie": self._cookie,
                **({"Content-Type": "application/x-www-form-urlencoded"} if body else {}),
            }
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer, answer.read().decode()
        finally:
            connection.close()


def forms(page):
    """By where they go: their hidden fields."""
    return {
        action: dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', html.unescape(form)))
        for action, form in re.findall(
            r'<form method="post" action="([^"]+)" class="act">(.*?)</form>', page, re.DOTALL
        )
    }


def looked_at(here, rollout, arms, **plan):
    """As its run would have looked at it, five minutes into its step; *plan* is of the rollout."""
    made, now = Plan(**plan), time.time()
    judged = judge(look(**arms, at=now, begun_at=now - 300), made, now)
    with connect(here.settings) as db:
        db.execute("UPDATE steward.rollouts SET plan = %s::jsonb WHERE id = %s", [made.model_dump_json(), rollout.id])
        keep_judgement(db, rollout, judged)
    return judged


def back_of(here):
    return f"/rollouts/{here.environment}/roll-back"


def test_by_one_call_of_a_writer_it_is_back_and_what_was_done_is_told(here, server, writer, reader):
    here.begin()
    rollout, path = here.begun("good"), back_of(here)
    refusals = [
        ("", {"because": "errors"}, 401),
        (reader, {"because": "errors"}, 403),
        (writer, {}, 422),
        (writer, {"because": "  "}, 422),
        (writer, {"because": "errors", "who": "somebody else"}, 422),
    ]
    for token, body, status in refusals:
        assert answer_of(server, "POST", path, body, token=token)[0] == status
    assert answer_of(server, "POST", "/rollouts/nowhere/roll-back", {"because": "errors"}, token=writer)[0] == 404
    assert not here.is_off(rollout)
    status, _, told = answer_of(server, "POST", path, {"because": "users see errors"}, token=writer)
    assert (status, told["done"], told["left"], told["to"], told["who"]) == (200, True, "good", "steady", "operator")
    assert here.is_off(rollout)
    assert here.answer() == {"steady": 20}
    status, _, standing = answer_of(server, "GET", path, token=reader)
    assert (status, standing["under_way"], standing["rollout"]["state"]) == (200, False, "rolled_back")
    with connect(here.settings) as db:
        assert [(each.decision, each.who, each.via) for each in said(db, rollout.id)] == [
            ("roll_back", "operator", "api")
        ]


def test_where_there_is_nothing_certified_to_go_back_to_it_says_so_and_touches_nothing(here, server, writer):
    here.begin()
    only = here.certified("good")
    # As curl sends the runbook's call: without a word of JSON, as a form.
    headers = {"Authorization": f"Bearer {writer}", "Content-Type": "application/x-www-form-urlencoded"}
    url = f"http://127.0.0.1:{server.http}{back_of(here)}"
    answer = httpx.post(url, content=b'{"because": "x"}', headers=headers, trust_env=False)
    status, told = answer.status_code, answer.json()
    assert (status, "no certified release besides good" in told["detail"]) == (409, True)
    assert "rollout direct" in told["hint"]
    assert not here.is_off(only)
    assert here.answer(5) == {"good": 5}


def test_who_waits_for_a_release_that_is_put_up_first_is_told_where_to_look(here, writer, monkeypatch):
    here.begin()
    here.certified("steady", BEFORE)
    here.certified("good")
    here.host.empty(BEFORE)
    monkeypatch.setattr(rollout_acts, "_ANSWER_SECONDS", 0.05)
    tokens = Tokens(here.settings.flags, here.settings.vault)
    tokens.read()
    acts = RolloutActs(here.settings, tokens, RolloutPages(here.settings, tokens))
    with TestClient(Starlette(routes=acts.routes()), headers={"Authorization": f"Bearer {writer}"}) as client:
        answer = client.post(back_of(here), json={"because": "errors"})
        assert (answer.status_code, answer.json()["done"], answer.headers["location"]) == (202, False, back_of(here))
        told = eventually(lambda: not (now := client.get(answer.headers["location"]).json())["under_way"] and now)
        assert told["failed"] is None
    assert (told["roll_back"]["release"], told["roll_back"]["to_release"]) == ("good", "steady")
    assert here.answer() == {"steady": 20}


def test_by_a_button_of_its_page_it_is_back_and_other_sites_have_no_button(here, server, writer, reader):
    here.begin()
    rollout = here.begun("good")
    page = f"/rollouts/{rollout.id}"
    seen = Browser(server, reader)
    assert forms(seen.get(page)[1]) == {}
    mine = Browser(server, writer)
    found = forms(mine.get(page)[1])
    assert list(found) == [back_of(here)]
    hidden = found[back_of(here)]
    assert hidden["leave"] == "good"
    # Neither without the page's seal, nor as somebody else, nor with a guess.
    for browser, fields in ((mine, {}), (seen, hidden), (mine, {"seal": "0" * 64})):
        answer, _ = browser.post(back_of(here), because="errors", **{"leave": "good", **fields})
        assert answer.status == 403
    assert mine.post(back_of(here), **hidden)[0].status == 422
    assert not here.is_off(rollout)
    answer, _ = mine.post(back_of(here), because="users see <b>errors</b>", **hidden)
    assert (answer.status, answer.headers["location"]) == (303, page)
    assert here.is_off(rollout)
    assert here.answer() == {"steady": 20}
    shown = mine.get(page)[1]
    assert "users see &lt;b&gt;errors&lt;/b&gt;" in shown
    assert forms(shown) == {}


def test_a_certified_one_is_taken_back_by_its_button_and_an_old_page_takes_back_nothing_else(here, server, writer):
    here.begin()
    here.certified("steady", BEFORE)
    good = here.certified("good")
    mine = Browser(server, writer)
    hidden = forms(mine.get(f"/rollouts/{good.id}")[1])[back_of(here)]
    assert mine.post(back_of(here), because="errors", **hidden)[0].status == 303
    assert here.answer() == {"steady": 20}
    assert forms(mine.get(f"/rollouts/{good.id}")[1]) == {}
    here.certified("slow", BEFORE)
    answer, told = mine.post(back_of(here), because="errors", **hidden)
    assert (answer.status, "good does not have the traffic" in told) == (409, True)
    assert here.answer(5) == {"steady": 5}


def test_an_approval_and_an_override_are_taken_only_where_they_are_asked_for(here, server, writer):
    here.begin()
    rollout = here.begun("good", AFTER)
    approve, override = (f"/rollouts/{rollout.id}/{word}" for word in ("approve", "override"))
    status, _, told = answer_of(server, "POST", approve, {"because": "well"}, token=writer)
    assert (status, "was not looked at yet" in told["detail"]) == (409, True)
    proved = looked_at(here, rollout, GOOD, approvals=(5,))
    assert proved.decision == "GO"
    status, _, told = answer_of(server, "POST", override, {"because": "well"}, token=writer)
    assert (status, "not for too few users" in told["detail"]) == (409, True)
    mine = Browser(server, writer)
    hidden = forms(mine.get(f"/rollouts/{rollout.id}")[1])[approve]
    assert mine.post(approve, because="looks well", **hidden)[0].status == 303
    scarce = looked_at(here, rollout, QUIET)
    assert scarce.too_little
    status, _, told = answer_of(server, "POST", override, {"because": "a small market"}, token=writer)
    assert (status, told["said"], told["who"]) == (200, "override", "operator")
    with connect(here.settings) as db:
        found = [(each.step, each.decision, each.who, each.why, each.via) for each in said(db, rollout.id)]
    assert found == [
        (1, "approve", "operator", "looks well", "page"),
        (1, "override", "operator", "a small market", "api"),
    ]
    assert answer_of(server, "POST", "/rollouts/999999/approve", {"because": "x"}, token=writer)[0] == 404
    assert answer_of(server, "POST", back_of(here), {"because": "done"}, token=writer)[0] == 200
    assert answer_of(server, "POST", approve, {"because": "x"}, token=writer)[0] == 409
