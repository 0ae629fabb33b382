"""What is told of keys: whether waiting may cure it."""

from __future__ import annotations

import pytest

from steward.errors import BadInput, is_transient
from steward.keys.errors import ColumnsUnusable, KeyInUse, ReadersLag, SweepStuck


@pytest.mark.parametrize("kind", [ColumnsUnusable, KeyInUse, ReadersLag, SweepStuck])
def test_no_step_is_tried_again_for_what_it_has_waited_for_itself(kind):
    """A step that raises what may pass is tried three times more: for readers, each time as long as was asked for in all."""
    assert not is_transient(kind("told"))


@pytest.mark.parametrize("kind", [ColumnsUnusable, KeyInUse])
def test_what_was_asked_for_wrongly_is_bad_input(kind):
    assert issubclass(kind, BadInput)
