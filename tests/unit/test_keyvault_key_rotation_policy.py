"""Rotation policies as values: what is accepted, when a version is due, what is answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from replica.keyvault.errors import Refusal
from replica.keyvault.rotation_policy import DEFAULT, Duration, parse_policy

CREATED = datetime(2026, 1, 31, 12, tzinfo=UTC)


def policy_body(rotate: dict | None = None, notify: dict | None = None, expiry: str | None = None) -> dict:
    actions = [("Rotate", rotate), ("Notify", notify)]
    return {
        "lifetimeActions": [{"action": {"type": name}, "trigger": trigger} for name, trigger in actions if trigger],
        "attributes": {"expiryTime": expiry} if expiry else {},
    }


@pytest.mark.parametrize(
    ("text", "later"),
    [
        ("P90D", datetime(2026, 5, 1, 12, tzinfo=UTC)),
        ("P1M", datetime(2026, 2, 28, 12, tzinfo=UTC)),
        ("P1Y10D", datetime(2027, 2, 10, 12, tzinfo=UTC)),
        ("PT48H", datetime(2026, 2, 2, 12, tzinfo=UTC)),
        ("P2W", datetime(2026, 2, 14, 12, tzinfo=UTC)),
        ("P13M", datetime(2027, 2, 28, 12, tzinfo=UTC)),
    ],
)
def test_a_duration_is_added_by_the_calendar(text, later):
    assert Duration.parse(text).after(CREATED) == later


@pytest.mark.parametrize(
    "text", ["", "P", "PT", "90", "P-1D", "P1.5D", "1D", "P1D ", "p1d", "P1H", "P99999Y", 90, None]
)
def test_what_is_no_iso_8601_duration_is_refused(text):
    with pytest.raises(Refusal) as refused:
        Duration.parse(text)
    assert (refused.value.status, refused.value.code) == (400, "BadParameter")


def test_a_policy_rotates_a_time_after_creation_and_gives_new_versions_an_expiry():
    policy = parse_policy(policy_body({"timeAfterCreate": "P60D"}, {"timeBeforeExpiry": "P10D"}, "P90D"))
    assert policy.due_at(CREATED, None) == CREATED + timedelta(days=60)
    assert policy.expires_at(CREATED) == CREATED + timedelta(days=90)


def test_a_policy_rotates_a_time_before_expiry_only_where_the_version_expires():
    policy = parse_policy(policy_body({"timeBeforeExpiry": "P30D"}, expiry="P90D"))
    assert policy.due_at(CREATED, CREATED + timedelta(days=90)) == CREATED + timedelta(days=60)
    assert policy.due_at(CREATED, None) is None


def test_without_a_rotate_action_nothing_is_ever_due():
    assert DEFAULT.due_at(CREATED, CREATED + timedelta(days=1)) is None
    assert DEFAULT.expires_at(CREATED) is None


def test_the_answer_names_notify_thirty_days_before_expiry_unless_told_otherwise():
    assert DEFAULT.body() == {
        "lifetimeActions": [{"trigger": {"timeBeforeExpiry": "P30D"}, "action": {"type": "Notify"}}],
        "attributes": {},
    }


def test_the_answer_repeats_what_was_set_with_rotate_first():
    policy = parse_policy(
        {
            "lifetimeActions": [
                {"action": {"type": "NOTIFY"}, "trigger": {"timeBeforeExpiry": "P1M", "timeAfterCreate": None}},
                {"action": {"type": "rotate"}, "trigger": {"timeAfterCreate": "P2M"}},
            ],
            "attributes": {"expiryTime": "P1Y"},
        }
    )
    assert policy.body() == {
        "lifetimeActions": [
            {"trigger": {"timeAfterCreate": "P2M"}, "action": {"type": "Rotate"}},
            {"trigger": {"timeBeforeExpiry": "P1M"}, "action": {"type": "Notify"}},
        ],
        "attributes": {"expiryTime": "P1Y"},
    }
    assert parse_policy(policy.body()) == policy


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (policy_body(expiry="P27D"), "28 days"),
        (policy_body(expiry="PT48H"), "28 days"),
        (policy_body({"timeAfterCreate": "P6D"}), "7 days"),
        (policy_body({"timeAfterCreate": "P85D"}, expiry="P90D"), "7 days before"),
        (policy_body({"timeBeforeExpiry": "P6D"}, expiry="P90D"), "7 days"),
        (policy_body({"timeBeforeExpiry": "P85D"}, expiry="P90D"), "7 days after"),
        (policy_body({"timeBeforeExpiry": "P30D"}), "needs the policy's expiryTime"),
        (policy_body({"timeBeforeExpiry": "P30D", "timeAfterCreate": "P30D"}, expiry="P90D"), "exactly one"),
        (policy_body({"other": 1}), "exactly one"),
        (policy_body(notify={"timeAfterCreate": "P30D"}), "Notify"),
        ({"lifetimeActions": [{"action": {"type": "Delete"}, "trigger": {}}]}, "Rotate or Notify"),
        ({"lifetimeActions": [{"action": {"type": "Rotate"}}]}, "trigger"),
        ({"lifetimeActions": ["Rotate"]}, "action"),
        ({"lifetimeActions": policy_body({"timeAfterCreate": "P30D"})["lifetimeActions"] * 2}, "only one"),
    ],
)
def test_a_policy_that_breaks_a_rule_is_refused_by_its_name(body, names):
    with pytest.raises(Refusal, match=names) as refused:
        parse_policy(body)
    assert (refused.value.status, refused.value.code) == (400, "BadParameter")


def test_a_policy_of_the_least_lengths_is_accepted():
    policy = parse_policy(policy_body({"timeAfterCreate": "P21D"}, {"timeBeforeExpiry": "P7D"}, "P28D"))
    assert policy.due_at(CREATED, None) == CREATED + timedelta(days=21)
