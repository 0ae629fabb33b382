"""What SDKs are told is what the flag says, as openfeature-flagd-core itself evaluates it."""

from __future__ import annotations

import json
import sys
import time
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openfeature.contrib.tools.flagd.core import FlagdCore
from openfeature.evaluation_context import EvaluationContext

from steward.flags import Audience, Flag
from steward.flags.buckets import Subject, variant_of
from steward.flags.documents import document
from steward.flags.evaluation import Evaluator
from steward.flags.validation import require_valid, validated
from tests.unit.flags.strategies import BRIEF, SUBJECTS, flags

TARGETING = "openfeature.contrib.tools.flagd.core.targeting.targeting"
SOON = int(time.time()) + 3600
ENDED = int(time.time()) - 1
TARGETED = Audience(variant="on", tenants=("acme",), users=("ada",))
FLAG = Flag(key="new-search", variants={"on": True, "off": False}, off="off", audiences=(TARGETED,))
PEOPLE = [Subject(f"user-{number}", "umbrella") for number in range(1000)]


def given_to(flag, *people):
    evaluator = Evaluator(document([flag]))
    return [evaluator.variant(flag.key, subject) for subject in people]


@given(flags(), st.lists(SUBJECTS, min_size=1, max_size=10))
@BRIEF
def test_the_sdk_gives_everybody_what_the_flag_says(flag, subjects):
    assert given_to(flag, *subjects) == [variant_of(flag, subject, time.time()) for subject in subjects]


@given(st.lists(flags(), max_size=4, unique_by=lambda flag: flag.key))
@settings(BRIEF, max_examples=40)
def test_every_document_of_flags_may_be_pushed(several):
    made = validated(several)
    assert list(made["flags"]) == sorted(flag.key for flag in several)
    require_valid(json.loads(json.dumps(made)))


def test_the_kill_switch_gives_off_to_everybody_even_to_whom_it_was_promised():
    killed = FLAG.exposing(100, "on").changed(killed=True)
    definition = document([killed])["flags"]["new-search"]
    assert set(given_to(killed, Subject("ada"), Subject("user-1", "acme"), *PEOPLE)) == {"off"}
    assert definition["defaultVariant"] == "off"
    assert definition["state"] == "ENABLED"
    assert "targeting" not in definition


def test_a_killed_flag_is_off_where_the_application_defaults_to_on():
    core = FlagdCore()
    core.set_flags(json.dumps(document([FLAG.exposing(100, "on").changed(killed=True)])))
    answer = core.resolve_boolean_value("new-search", default_value=True, ctx=EvaluationContext("user-1"))
    assert answer.value is False
    assert answer.variant == "off"


def test_a_lease_that_ended_gives_off_to_the_whole_split_and_leaves_audiences():
    exposed = FLAG.exposing(100, "on")
    assert set(given_to(exposed.changed(lease_until=SOON), *PEOPLE)) == {"on"}
    ended = exposed.changed(lease_until=ENDED)
    assert set(given_to(ended, *PEOPLE)) == {"off"}
    assert given_to(ended, Subject("ada"), Subject("user-1", "acme")) == ["on", "on"]


@pytest.mark.parametrize(("seconds_left", "variant"), [(1, "on"), (0.01, "on"), (0, "off"), (-0.99, "off")])
def test_a_lease_ends_with_the_second_that_it_names(monkeypatch, seconds_left, variant):
    now = SOON - seconds_left
    flag = FLAG.exposing(100, "on").changed(lease_until=SOON)
    monkeypatch.setattr(sys.modules[TARGETING], "time", SimpleNamespace(time=lambda: now))
    assert given_to(flag, Subject("user-1")) == [variant] == [variant_of(flag, Subject("user-1"), now)]


def test_a_flag_without_a_lease_stays_exposed():
    assert set(given_to(FLAG.exposing(100, "on"), *PEOPLE)) == {"on"}


def test_whoever_has_no_targeting_key_is_not_exposed():
    assert given_to(FLAG.exposing(100, "on"), Subject(None), Subject("")) == ["off", "off"]


def test_the_first_audience_that_somebody_belongs_to_counts():
    barred = Audience(variant="off", users=("mallory",))
    flag = FLAG.changed(audiences=(barred, TARGETED))
    assert given_to(flag, Subject("mallory", "acme"), Subject("ada"), Subject("x", "acme")) == ["off", "on", "on"]


def test_rollout_step_and_frozen_latency_reach_the_application_with_every_answer():
    metadata = {"rollout": "r-1", "step": 2, "slow_ms": 83.5, "canary": True}
    core = FlagdCore()
    core.set_flags(json.dumps(document([FLAG.exposing(5, "on").changed(metadata=metadata, lease_until=SOON)])))
    answer = core.resolve_boolean_value("new-search", default_value=False, ctx=EvaluationContext("user-1"))
    assert answer.flag_metadata == metadata
