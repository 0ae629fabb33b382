"""What may be pushed: refused with what was seen, what was expected and what to do."""

from __future__ import annotations

from copy import deepcopy

import pytest

from steward.flags import Audience, Flag, validation
from steward.flags.errors import FlagDocumentRefused
from steward.flags.validation import require_valid, validated
from tests.unit.flags.broken import GOOD, REFUSED_BY_FLAGD, REFUSED_BY_US

FLAG = Flag(key="x", variants={"on": True, "off": False}, off="off").exposing(25, "on")
BROKEN = REFUSED_BY_FLAGD | REFUSED_BY_US


@pytest.mark.parametrize("document", BROKEN.values(), ids=BROKEN)
def test_a_document_that_an_sdk_may_stumble_over_is_refused(document):
    before = deepcopy(document)
    with pytest.raises(FlagDocumentRefused) as refused:
        require_valid(document)
    assert refused.value.seen
    assert refused.value.expected
    assert refused.value.hint
    # Nothing is changed, not even what was asked about: SDKs take apart what they are given.
    assert repr(document) == repr(before)


def test_a_document_that_it_takes_is_accepted_and_left_as_it_is():
    before = deepcopy(GOOD)
    require_valid(GOOD)
    assert before == GOOD


def test_a_refusal_says_where_the_fault_is():
    with pytest.raises(FlagDocumentRefused, match=r"flags\.x\.targeting\.fractional\.0\.1: -5 is less than"):
        require_valid(BROKEN["a negative weight"])


def test_a_document_that_evaluates_otherwise_than_the_flag_says_is_refused(monkeypatch):
    """As it would after a release of the SDK that hashes otherwise, or a fault in how documents are made."""
    wider = validation.document([FLAG.exposing(50, "on")])
    monkeypatch.setattr(validation, "document", lambda _: wider)
    with pytest.raises(FlagDocumentRefused, match=r"flag x gives on to Subject.*; expected off"):
        validated([FLAG])


def test_an_audience_that_a_document_forgets_is_missed(monkeypatch):
    without = validation.document([FLAG.withdrawn()])
    monkeypatch.setattr(validation, "document", lambda _: without)
    with pytest.raises(FlagDocumentRefused, match=r"'ada'.*expected on"):
        validated([FLAG.withdrawn().changed(audiences=(Audience(variant="on", users=("ada",)),))])
