"""Flags of every shape, and for whom they are evaluated."""

from __future__ import annotations

import time

from hypothesis import settings
from hypothesis import strategies as st

from steward.flags.buckets import Subject
from steward.flags.model import SAFE_INTEGER, Audience, Flag, Split

BRIEF = settings(derandomize=True, deadline=None, max_examples=100)
"""The same examples in every run, and no clock: a busy machine is no fault of the code's."""

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True)
_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_INTEGERS = st.integers(-SAFE_INTEGER, SAFE_INTEGER)
_FLOATS = st.floats(-SAFE_INTEGER, SAFE_INTEGER)
_JSON = st.recursive(
    st.none() | st.booleans() | _INTEGERS | _FLOATS | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)
VALUES = {
    "boolean": st.booleans(),
    "number": _INTEGERS | _FLOATS,
    "string": _TEXT,
    "object": st.dictionaries(_TEXT, _JSON, max_size=3),
}
_SCALARS = _TEXT | st.booleans() | _INTEGERS | _FLOATS

USERS = st.sampled_from([f"user-{number}" for number in range(40)])
TENANTS = st.sampled_from(["acme", "umbrella", "hooli"])
SUBJECTS = st.builds(Subject, st.none() | st.just("") | USERS, st.none() | TENANTS)

#: Far from now on both sides, so that none ends in the middle of a test.
LEASES = st.none() | st.integers(60, 10**6).flatmap(
    lambda away: st.sampled_from([int(time.time()) - away, int(time.time()) + away])
)


def splits(names: list[str]) -> st.SearchStrategy[Split]:
    """Of *names* in this order, with whatever weights come to a whole."""
    return st.sampled_from([100, 10_000]).flatmap(
        lambda total: st.lists(st.integers(0, total), min_size=len(names) - 1, max_size=len(names) - 1).map(
            lambda cuts: Split(weights=_weights(names, sorted(cuts), total))
        )
    )


def _weights(names, cuts, total):
    edges = [0, *cuts, total]
    return tuple((name, high - low) for name, low, high in zip(names, edges, edges[1:], strict=False))


@st.composite
def flags(draw: st.DrawFn, key: str | None = None, kind: str | None = None) -> Flag:
    """Any flag that may be."""
    kind = kind or draw(st.sampled_from(sorted(VALUES)))
    names = draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    audiences = st.builds(
        Audience,
        variant=st.sampled_from(names),
        tenants=st.lists(TENANTS, max_size=2).map(tuple),
        users=st.lists(USERS, min_size=1, max_size=3).map(tuple),
    )
    return Flag(
        key=key or draw(NAMES),
        description=draw(_TEXT),
        variants={name: draw(VALUES[kind]) for name in names},
        off=names[-1],
        audiences=tuple(draw(st.lists(audiences, max_size=2))),
        split=draw(st.none() | splits(names)),
        lease_until=draw(LEASES),
        killed=draw(st.booleans()),
        metadata=draw(st.dictionaries(NAMES, _SCALARS, max_size=3)),
    )
