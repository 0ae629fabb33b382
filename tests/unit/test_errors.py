from __future__ import annotations

import pickle

import pytest

from steward.errors import BadInput, StewardError, Unavailable, is_transient


class Mismatch(StewardError):
    """An error that carries values, as domains define them."""

    def __init__(self, restored: int, expected: int) -> None:
        super().__init__(f"restored {restored} of {expected} documents", hint="compare the shards")
        self.restored = restored
        self.expected = expected


def test_an_error_says_what_was_seen_and_then_what_to_do():
    assert str(Mismatch(99, 100)) == "restored 99 of 100 documents\nHINT: compare the shards"


def test_an_error_without_a_hint_is_one_line():
    assert str(StewardError("it is so")) == "it is so"


def test_errors_cross_a_process_border_whole():
    # Prefect pickles the exceptions of failed runs.
    crossed = pickle.loads(pickle.dumps(Mismatch(99, 100)))  # noqa: S301 # our own bytes
    assert type(crossed) is Mismatch
    assert (crossed.restored, crossed.expected) == (99, 100)
    assert (str(crossed), crossed.hint) == (str(Mismatch(99, 100)), "compare the shards")


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (Unavailable("away"), True),
        (BadInput("no such tenant"), False),
        (Mismatch(1, 2), False),
        (TimeoutError(), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_only_what_waiting_can_cure_is_transient(error, transient):
    assert is_transient(error) is transient
