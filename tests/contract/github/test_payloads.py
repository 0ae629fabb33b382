"""GitHub's own examples are what its schema says, and each is read by what the event itself is known by."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import urlsplit

import jsonschema
import pytest

from steward.webhooks import github
from steward.webhooks.delivery import payload_of
from tests.contract.github import payloads

NOW = datetime(2026, 11, 27, 10, tzinfo=UTC)
GUID = "72d3162e-cc78-11e3-81ab-4c9367dc0958"
DEPLOYED = datetime(2019, 5, 15, 15, 20, 53, tzinfo=UTC)

CASES = [
    *((("ping", number), None, f"ping/109948940/{GUID}", NOW) for number in range(4)),
    *((("deployment", number), "created", "deployment/145988746/created", DEPLOYED) for number in (0, 2, 3)),
    (("deployment", 1), "created", "deployment/145988746/created", datetime(2022, 1, 3, 1, 28, 30, tzinfo=UTC)),
    *(
        (("deployment_status", number), "created", "deployment_status/209916254", DEPLOYED + timedelta(seconds=2))
        for number in (0, 2, 3)
    ),
    (("deployment_status", 1), "created", "deployment_status/209916254", datetime(2022, 1, 3, 1, 28, 40, tzinfo=UTC)),
    (("workflow_run", 0), "completed", "workflow_run/1589141559/1/completed", None),
    *((("workflow_run", number), "completed", "workflow_run/289782451/1/completed", None) for number in (1, 2)),
    *((("workflow_run", number), "requested", "workflow_run/289782451/1/requested", None) for number in (3, 4)),
    (
        ("deployment_protection_rule", 0),
        "requested",
        "deployment_protection_rule/145988746/production",
        datetime(2022, 1, 3, 1, 28, 40, tzinfo=UTC),
    ),
]


def read(event, payload, *, guid=GUID):
    return github.read(
        "github", {"x-github-event": event, "x-github-delivery": guid}, json.dumps(payload).encode(), now=NOW
    )


@cache
def validator(event, action):
    """Of one event. An address that is empty is none, as the schema means it."""
    formats = jsonschema.FormatChecker(formats=())
    formats.checks("uri")(lambda told: not isinstance(told, str) or bool(urlsplit(told).scheme))
    root = {"$ref": f"#/definitions/{event}${action}", "definitions": payloads.schema()["definitions"]}
    return jsonschema.Draft7Validator(root, format_checker=formats)


def test_every_example_is_read():
    kept = {(event, number) for event in payloads.EVENTS for number in range(len(payloads.examples(event)))}
    assert {case[0] for case in CASES} == kept


@pytest.mark.parametrize(("example", "action", "key", "at"), CASES, ids=str)
def test_an_example_is_read_by_what_its_event_is_known_by(example, action, key, at):
    payload = payloads.whole(*example)
    delivery = read(example[0], payload)
    assert (delivery.source, delivery.kind, delivery.delivery, delivery.event) == ("github", "github", GUID, example[0])
    assert (delivery.action, delivery.key) == (action, key)
    assert delivery.occurred_at == (at or datetime.fromisoformat(payload["workflow_run"]["updated_at"]))
    assert delivery.payload == payload == payload_of(delivery.body)


@pytest.mark.parametrize(
    ("event", "number"),
    # The oldest of an event lacks fields that GitHub has added since.
    [(event, number) for (event, number), *_ in CASES if number or event == "deployment_protection_rule"],
)
def test_an_example_is_whole_by_github_s_schema(event, number):
    payload = payloads.whole(event, number)
    action = payload.get("action", "event")
    assert [error.message for error in validator(event, action).iter_errors(payload)] == []


def test_the_schema_tells_a_payload_that_is_not_whole():
    payload = payloads.whole("deployment_protection_rule", 0)
    del payload["repository"]["full_name"]
    assert list(validator("deployment_protection_rule", "requested").iter_errors(payload))


@pytest.mark.parametrize("action", ["requested", "in_progress", "completed"])
@pytest.mark.parametrize("attempt", [1, 2, 7])
def test_each_attempt_and_each_action_of_a_workflow_run_is_an_event_of_its_own(action, attempt):
    payload = payloads.whole("workflow_run", 1)
    payload["action"], payload["workflow_run"]["run_attempt"] = action, attempt
    assert read("workflow_run", payload).key == f"workflow_run/289782451/{attempt}/{action}"


def test_one_event_under_two_ids_has_one_key_unless_it_is_a_ping():
    for event, number in (("deployment", 0), ("workflow_run", 2), ("deployment_protection_rule", 0)):
        payload = payloads.whole(event, number)
        assert read(event, payload).key == read(event, payload, guid="another").key
    ping = payloads.whole("ping", 0)
    assert read("ping", ping).key != read("ping", ping, guid="another").key
