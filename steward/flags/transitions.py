"""What may change of a flag while users are in it: variants take users in; out of one, all go at once or nobody."""

from __future__ import annotations

from itertools import pairwise

from steward.flags.errors import BucketsWouldFlip
from steward.flags.model import Flag, Split

_HINT = "roll back to 0 or kill the flag first; from there any split may begin"


def require_monotonic(before: Flag, after: Flag) -> None:
    """Raises BucketsWouldFlip if the change takes users of the split out of a variant that is not the off one.

    A kill and a roll back take out everybody and are always allowed; where nobody was in, any split may begin. Who is
    in an audience is said one by one, so a change of that is meant, and the lease is time's matter: neither is
    looked at here.
    """
    if before.key != after.key:
        raise BucketsWouldFlip(
            before.key,
            f"it would be called {after.key}",
            expected="the same key, which is part of what is hashed",
            hint="make another flag, and take this one back",
        )
    was, will_be = _exposing(before), _exposing(after)
    if was is None or will_be is None:
        return
    _require_order(before.key, was, will_be)
    _require_places(before.key, was, will_be)


def require_monotonic_steps(flags: tuple[Flag, ...]) -> None:
    """Raises BucketsWouldFlip unless each of *flags* may follow the one before."""
    for before, after in pairwise(flags):
        require_monotonic(before, after)


def _exposing(flag: Flag) -> Split | None:
    """The split, if anybody is in a variant by it."""
    return flag.split if flag.split and flag.split.exposure_percent and not flag.killed else None


def _require_order(key: str, was: Split, will_be: Split) -> None:
    if was.total != will_be.total:
        raise BucketsWouldFlip(
            key, f"the weights would be of {will_be.total:,}", expected=f"of {was.total:,}, as now", hint=_HINT
        )
    names, later = [name for name, _ in was.weights], [name for name, _ in will_be.weights]
    if names != later:
        raise BucketsWouldFlip(
            key, f"the split's order would be {', '.join(later)}", expected=", ".join(names), hint=_HINT
        )


def _require_places(key: str, was: Split, will_be: Split) -> None:
    """Each variant's buckets must hold those it had: the first may grow, and so may the last before the off one."""
    for (name, (low, high)), (_, (lower, higher)) in zip(_places(was), _places(will_be), strict=True):
        if name == was.off or low == high or (lower <= low and high <= higher):
            continue
        raise BucketsWouldFlip(
            key,
            f"variant {name} would have the buckets {lower}-{higher} of {was.total:,}",
            expected=f"all of {low}-{high}, which it has now",
            hint=f"weights now: {was}; {_HINT}",
        )


def _places(split: Split) -> list[tuple[str, tuple[int, int]]]:
    """By variant, from the first of its buckets to the first that is no longer its."""
    places: list[tuple[str, tuple[int, int]]] = []
    reached = 0
    for name, weight in split.weights:
        places.append((name, (reached, reached + weight)))
        reached += weight
    return places
