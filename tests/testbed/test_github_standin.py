"""The stand-in for GitHub against what GitHub documents: whole payloads by its schema, deliveries signed, sent once and listed."""

from __future__ import annotations

import hashlib
import hmac
import json
import uuid

import pytest

from tests.contract.github import payloads
from tests.contract.github.test_payloads import validator
from tests.integration.github_ground import HOOK, HOOK_SECRET, Listener, eventually, standing_in

pytestmark = pytest.mark.without_search
#: https://docs.github.com/en/rest/repos/webhooks, "Get a delivery for a repository webhook".
LISTED = {
    "id": int,
    "guid": str,
    "delivered_at": str,
    "redelivery": bool,
    "duration": float,
    "status": str,
    "status_code": int,
    "event": str,
    "action": str,
    "installation_id": type(None),
    "repository_id": int,
    "throttled_at": type(None),
}


@pytest.fixture(scope="module")
def github(tmp_path_factory):
    with standing_in(tmp_path_factory.mktemp("github")) as made:
        yield made


@pytest.fixture
def listener(github):
    made = Listener()
    github.turn()
    github.direct(made.url)
    yield made
    made.close()


def faults(event, payload):
    return [error.message for error in validator(event, payload.get("action", "event")).iter_errors(payload)]


def test_every_event_it_sends_is_as_github_documents_it_and_is_signed(github, listener):
    number = github.deploy()["id"]
    github.ask("POST", f"/deployments/{number}/statuses", {"state": "in_progress"}, 201)
    github.admin("POST", "/runs", {"conclusion": "success"})
    github.admin("POST", "/reviews", {"ref": "main"})
    github.ask("POST", f"/hooks/{HOOK}/pings", status=204)
    arrived = listener.wait(5)
    assert {each.headers["x-github-event"] for each in arrived} == set(payloads.EVENTS)
    for each in arrived:
        assert faults(each.headers["x-github-event"], each.payload) == []
        digest = hmac.new(HOOK_SECRET.encode(), each.body, hashlib.sha256).hexdigest()
        assert each.headers["x-hub-signature-256"] == f"sha256={digest}"
        assert str(uuid.UUID(each.headers["x-github-delivery"])) == each.headers["x-github-delivery"]
        assert each.headers["x-github-hook-id"] == str(HOOK)
        assert each.headers["content-type"] == "application/json"


def test_a_delivery_is_listed_with_the_documented_fields_and_told_whole_by_its_number(github, listener):
    before = len(github.deliveries())
    github.deploy(payload={"release": "shop-2"})
    [arrived] = listener.wait(1)
    newest = github.noted(before + 1)[0]
    assert {name: type(each) for name, each in newest.items()} == LISTED
    assert (newest["status_code"], newest["status"], newest["redelivery"]) == (202, "Accepted", False)
    whole = github.whole(newest["id"])
    assert set(whole) == {*LISTED, "url", "request", "response"}
    assert set(whole["request"]) == {"headers", "payload"}
    assert whole["request"]["payload"] == arrived.payload
    assert whole["request"]["headers"]["X-GitHub-Delivery"] == newest["guid"]


def test_a_delivery_that_failed_is_not_sent_again_until_somebody_asks_and_keeps_its_guid(github, listener):
    before = len(github.deliveries())
    github.turn(lose=True)
    github.deploy()
    lost = github.noted(before + 1)[0]
    assert (lost["status_code"], lost["status"]) == (502, "failed to connect to host")
    github.turn()
    assert listener.arrived == []
    github.ask("POST", f"/hooks/{HOOK}/deliveries/{lost['id']}/attempts", status=202)
    [arrived] = listener.wait(1)
    again = github.noted(before + 2)[0]
    assert (again["guid"], again["redelivery"]) == (lost["guid"], True)
    assert arrived.headers["x-github-delivery"] == lost["guid"]
    assert arrived.payload == github.whole(lost["id"])["request"]["payload"]


def test_deliveries_can_be_held_back_and_sent_twice(github, listener):
    before = len(github.deliveries())
    github.turn(hold=True, twice=True)
    github.deploy()
    assert (listener.arrived, len(github.deliveries())) == ([], before)
    github.turn()
    one, other = listener.wait(2)
    assert one.headers["x-github-delivery"] == other.headers["x-github-delivery"]
    assert one.body == other.body


def test_lists_are_paged_by_the_link_to_the_next_page_alone(github, listener):
    before = len(github.deliveries())
    for _ in range(5):
        github.deploy()
    github.noted(before + 5)
    seen, url = [], f"{github.url}/repos/example/shop/hooks/{HOOK}/deliveries?per_page=2"
    while url:
        answer = github.client.get(url)
        assert len(answer.json()) <= 2
        seen += [each["id"] for each in answer.json()]
        url = answer.links.get("next", {}).get("url")
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen)) == before + 5


def test_killed_it_goes_on_with_what_it_had_said(github, listener):
    number = github.deploy()["id"]
    listener.wait(1)
    eventually(lambda: github.deliveries()[0]["event"] == "deployment")
    before = github.deliveries()
    github.kill()
    github.start()
    assert github.deliveries() == before
    assert github.ask("GET", f"/deployments/{number}")["id"] == number


@pytest.mark.parametrize(
    ("path", "body", "refusal"),
    [
        ("/deployments", {}, (422, "ref")),
        ("/deployments/{number}/statuses", {"state": "done"}, (422, "state")),
        ("/deployments/{number}/statuses", {"state": "success", "description": "x" * 141}, (422, "description")),
        ("/deployments/1/statuses", {"state": "success"}, (404, None)),
        ("/hooks/1/pings", {}, (404, None)),
    ],
)
def test_it_refuses_what_github_refuses(github, listener, path, body, refusal):
    status, field = refusal
    number = github.deploy()["id"]
    told = github.ask("POST", path.format(number=number), body, status)
    assert told["status"] == str(status)
    assert [each["field"] for each in told.get("errors", [])] == ([field] if field else [])


def test_who_bears_no_token_is_told_nothing(github):
    answer = github.client.get(
        f"{github.url}/repos/example/shop/hooks/{HOOK}", headers={"authorization": "Bearer of-none"}
    )
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


def test_its_payloads_are_documented_examples_whole():
    folder = payloads.FOLDER.parents[2] / "replica/github/payloads"
    for event in payloads.EVENTS:
        example = json.loads((folder / f"{event}.json").read_text())
        assert faults(event, example) == []
        assert example in payloads.examples(event)
