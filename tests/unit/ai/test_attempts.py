"""An attempt and its ending: what may be entered of them, and that no content may."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from uuid import uuid4

import pytest

from steward.ai.attempts import (
    MOVES,
    OPEN,
    UNSENT,
    Attempt,
    Bounds,
    Ending,
    Outcome,
    State,
    as_name,
    may_follow,
    new_id,
)
from steward.ai.errors import AttemptUnusable
from steward.ai.usage import CLASSES, Usage
from steward.clients.attempts_parquet import COLUMNS
from steward.clients.attempts_sql import MOVE
from steward.migrations import versions

ASKED = {
    "tenant": "Ärzte & Söhne",
    "key_id": "key-7",
    "provider": "openai",
    "account": "openai-main",
    "credential_version": "v3",
    "alias": "chat",
    "model_asked": "gpt-5",
    "reserved_input": 900,
    "reserved_output": 400,
}
PROMPT = "please summarise this letter"


def asked(**values):
    return Attempt(**{"id": new_id(), "request": uuid4(), **ASKED, **values})


def test_later_ids_sort_later_and_are_of_version_7():
    ids = [new_id() for _ in range(2000)]
    assert len(set(ids)) == 2000
    assert {(each.version, each.variant) for each in ids} == {(7, "specified in RFC 4122")}
    moments = [each.int >> 64 for each in ids]
    assert moments == sorted(moments)


@pytest.mark.parametrize(
    "name", ["key_id", "provider", "account", "credential_version", "alias", "model_asked", "project", "tier_asked"]
)
@pytest.mark.parametrize("value", [PROMPT, "", "x" * 201, "zeile\n"])
def test_no_content_fits_into_an_attempt(name, value):
    with pytest.raises(AttemptUnusable) as refused:
        asked(**{name: value})
    assert not value or value not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["error_class", "provider_request_id", "model_served", "tier_served", "prices_version"]
)
def test_no_content_fits_into_an_outcome(name):
    with pytest.raises(AttemptUnusable) as refused:
        Outcome(ending=Ending.CUT, **{name: PROMPT})
    assert PROMPT not in str(refused.value)


def test_what_a_provider_says_is_kept_where_it_is_a_name():
    assert [as_name(each) for each in ("req_1", PROMPT, "", None)] == ["req_1", None, None, None]


@pytest.mark.parametrize("values", [{"ordinal": 0}, {"reserved_input": -1}, {"tenant": ""}, {"tenant": "ä" * 128}])
def test_an_attempt_out_of_bounds_is_refused(values):
    with pytest.raises(AttemptUnusable):
        asked(**values)


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (State.SETTLED, Outcome(ending=Ending.COMPLETED)),
        (State.SETTLED, Outcome(ending=Ending.LOST, usage=Usage())),
        (State.ABORTED, Outcome(ending=Ending.REFUSED)),
        (State.ABORTED, Outcome(ending=Ending.NOT_SENT, usage=Usage())),
        (State.UNKNOWN, Outcome(ending=Ending.TIMED_OUT, usage=Usage())),
        (State.UNKNOWN, Outcome(ending=Ending.COMPLETED)),
        (State.SENT, UNSENT),
    ],
)
def test_an_ending_that_does_not_go_with_the_state_is_refused(state, outcome):
    with pytest.raises(AttemptUnusable):
        outcome.row(state)


def test_a_refusal_by_the_provider_is_settled_with_nothing():
    row = Outcome(ending=Ending.REFUSED, usage=Usage(), http_status=429, error_class="rate_limit_error").row(
        State.SETTLED
    )
    assert [row[name] for name in CLASSES] == [0] * len(CLASSES)


def test_what_is_not_known_is_absent_and_not_nothing():
    row = Outcome(ending=Ending.CUT).row(State.UNKNOWN)
    assert [row[name] for name in CLASSES] == [None] * len(CLASSES)


@pytest.mark.parametrize(
    "bounds", [Bounds(0, 5, 10, 20), Bounds(0, 5, 0, 8), Bounds(6, 7, 0, 20), Bounds(-1, 5, 0, 20)]
)
def test_an_estimate_lies_within_its_bounds(bounds):
    with pytest.raises(AttemptUnusable):
        Outcome(ending=Ending.CUT, usage=Usage(input_uncached=5, output=9), bounds=bounds)


def test_bounds_need_a_figure_between_them():
    with pytest.raises(AttemptUnusable):
        Outcome(ending=Ending.CUT, bounds=Bounds(0, 1, 0, 1))


def test_every_attempt_can_come_to_an_end_and_nothing_leads_back():
    assert may_follow(State.SENT) == {State.RESERVED}
    assert all(MOVES[state] for state in OPEN)
    reached = {State.RESERVED}
    for _ in State:
        assert State.RESERVED not in {after for before in reached for after in MOVES[before]}
        reached |= {after for before in reached for after in MOVES[before]}
    assert reached == set(State)


def test_database_statement_and_decision_name_the_same_moves():
    text = (Path(versions.__path__[0]) / "0011_ai_attempts.py").read_text()
    for before, afters in MOVES.items():
        for after in State:
            assert (f"{before}>{after}" in MOVE) == (after in afters)
            assert (f"'{before}>{after}'" in text) == (after in afters)


def test_all_that_is_entered_is_sealed():
    row = asked().row() | Outcome(ending=Ending.COMPLETED, usage=Usage()).row(State.SETTLED)
    assert set(row) - set(COLUMNS) == set()
    assert {field.name for field in fields(Attempt)} <= set(COLUMNS)
