"""What is read of a delivery, what is refused, and that a refusal tells nothing of the body."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from steward.webhooks import github, signed
from steward.webhooks.delivery import payload_of
from steward.webhooks.errors import BadHeader, MalformedBody, NoRule, Stale, UnknownEvent
from steward.webhooks.freshness import AHEAD, demand_fresh
from tests.contract.github import payloads

NOW = datetime(2026, 11, 27, 10, tzinfo=UTC)
SECRET_WORD = "a-word-of-the-body"
GITHUB = {"x-github-delivery": "guid-1", "x-github-event": "deployment"}
EVENT = {"type": "release.candidate", "timestamp": "2026-11-27T09:59:00+01:00", "data": {"release": "v2"}}


def of_github(payload, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return github.read("github", {**GITHUB, **named}, json.dumps(payload).encode(), now=NOW)


def of_ci(body, identity="msg_1"):
    return signed.read("ci", {"webhook-id": identity}, json.dumps(body).encode())


def without(payload, path):
    part = payload
    *above, last = path.split(".")
    for each in above:
        part = part[each]
    del part[last]
    return payload


def test_the_signed_form_is_read_whole():
    delivery = of_ci(EVENT)
    assert (delivery.kind, delivery.event, delivery.action) == ("signed", "release.candidate", None)
    assert delivery.key == "release.candidate/msg_1"
    assert delivery.occurred_at == datetime(2026, 11, 27, 8, 59, tzinfo=UTC)
    assert delivery.payload == EVENT


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not JSON",
        b"{",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": "\\ud800"}',
        b'{"a": "\xed\xa0\x80"}',
        b'\xff\xfe{"a": 1}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"a": ' + b"9" * 10_000 + b"}",
        b"{} {}",
    ],
    ids=range(12),
)
def test_what_is_no_json_is_malformed_and_nothing_worse(body):
    with pytest.raises(MalformedBody, match="the body is no JSON"):
        payload_of(body)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"[1]", "array"),
        (b'"a"', "string"),
        (b"1", "number"),
        (b"1.5", "number"),
        (b"true", "boolean"),
        (b"null", "null"),
    ],
)
def test_json_that_is_no_object_is_malformed(body, named):
    with pytest.raises(MalformedBody, match=f"a JSON {named}; expected an object"):
        payload_of(body)


def test_of_a_key_that_is_there_twice_the_last_counts():
    assert payload_of(b'{"a": 1, "a": 2}') == {"a": 2}


@pytest.mark.parametrize(
    ("event", "path"),
    [
        ("ping", "hook_id"),
        ("deployment", "action"),
        ("deployment", "deployment"),
        ("deployment", "deployment.id"),
        ("deployment", "deployment.created_at"),
        ("deployment_status", "deployment_status.id"),
        ("deployment_status", "deployment_status.created_at"),
        ("workflow_run", "workflow_run.id"),
        ("workflow_run", "workflow_run.run_attempt"),
        ("workflow_run", "workflow_run.updated_at"),
        ("deployment_protection_rule", "environment"),
        ("deployment_protection_rule", "deployment.id"),
        ("deployment_protection_rule", "deployment_callback_url"),
    ],
)
def test_a_field_that_is_missing_is_named(event, path):
    with pytest.raises(MalformedBody, match=f"no {event}: {path}: Field required"):
        of_github(without(payloads.whole(event, 0), path), x_github_event=event)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "145988746"),
        ("id", 0),
        ("id", 2**63),
        ("id", True),
        ("id", 1.0),
        ("created_at", 1557933653),
        ("created_at", "1557933653"),
        ("created_at", "2019-05-15T15:20:53"),
        ("created_at", SECRET_WORD),
        ("created_at", "2019-02-30T15:20:53Z"),
    ],
)
def test_a_field_of_another_kind_is_named_and_its_value_is_not(field, value):
    payload = payloads.whole("deployment", 0)
    payload["deployment"][field] = value
    with pytest.raises(MalformedBody, match=f"deployment.{field}: ") as caught:
        of_github(payload)
    assert SECRET_WORD not in str(caught.value)


@pytest.mark.parametrize("environment", ["", "a\x00b", "a\nb", "x" * 256, 7])
def test_an_environment_that_is_no_name_is_refused(environment):
    payload = payloads.whole("deployment_protection_rule", 0)
    payload["environment"] = environment
    with pytest.raises(MalformedBody, match="environment: "):
        of_github(payload, x_github_event="deployment_protection_rule")


@pytest.mark.parametrize("event", ["push", "Deployment", "deployment_review"])
def test_an_unknown_event_is_told_the_known_ones(event):
    with pytest.raises(
        UnknownEvent, match=f"{event}; known: deployment, deployment_protection_rule, deployment_status"
    ):
        of_github({}, x_github_event=event)


@pytest.mark.parametrize("value", ["", "a b", "a\nb", "ü", "x" * 201, "a\x00", "-leading"])
def test_an_id_that_is_none_is_refused_and_not_told(value):
    with pytest.raises(BadHeader, match=r"^X-GitHub-Delivery (is missing|has characters or a length)"):
        of_github({}, x_github_delivery=value)
    with pytest.raises(BadHeader, match=r"^webhook-id"):
        of_ci(EVENT, value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"type": None}, "type"),
        ({"type": "Release Candidate"}, "type"),
        ({"type": "a" * 101}, "type"),
        ({"timestamp": 1614265330}, "timestamp"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"data": [1]}, "data"),
        ({"data": None}, "data"),
    ],
)
def test_a_signed_body_of_another_shape_is_refused_by_field(changes, named):
    with pytest.raises(MalformedBody, match=f"no signed delivery: {named}: "):
        of_ci({**EVENT, **changes})
    with pytest.raises(MalformedBody, match=f"{named}: Field required"):
        of_ci(without(dict(EVENT), named))


def test_a_type_that_no_rule_names_is_told_the_known_ones():
    delivery = of_ci(EVENT)
    signed.demand_rule(delivery, {"release.candidate"})
    with pytest.raises(NoRule, match=r"type release.candidate of ci; known: deploy.asked, git.push"):
        signed.demand_rule(delivery, {"git.push", "deploy.asked"})
    with pytest.raises(NoRule, match="known: none"):
        signed.demand_rule(delivery, [])


@pytest.mark.parametrize(
    ("age", "word"),
    [
        (timedelta(hours=72, seconds=1), r"happened 72.0 h ago; expected at most 72 h"),
        (-AHEAD - timedelta(seconds=1), "301 s from now"),
    ],
)
def test_what_happened_at_another_time_is_stale_and_at_the_edge_it_is_not(age, word):
    delivery = of_ci({**EVENT, "timestamp": (NOW - age).isoformat()})
    with pytest.raises(Stale, match=word):
        demand_fresh(delivery, window_hours=72, now=NOW)
    edge = NOW + timedelta(seconds=1 if age < timedelta(0) else -1)
    demand_fresh(delivery, window_hours=72, now=edge)


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_the_ends_of_time_are_stale_and_no_error_of_ours(at):
    with pytest.raises(Stale):
        demand_fresh(of_ci({**EVENT, "timestamp": at}), window_hours=72, now=NOW)


def test_a_delivery_shows_no_byte_of_its_body():
    assert SECRET_WORD not in repr(of_ci({**EVENT, "data": {"word": SECRET_WORD}}))
