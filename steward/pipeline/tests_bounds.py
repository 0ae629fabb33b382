"""Whether enough of a suite was run: by the settings' bounds, and by what the last certified release passed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from steward.settings import SuiteBounds

#: A statement holds each suite's number: tools that call every test a suite of its own are told by their sum alone.
MOST_SUITES = 200


class TestsBefore(BaseModel):
    """What the last certified release passed of the same gate, by its signed statement."""

    # Not a class of tests, for all its name.
    __test__ = False

    model_config = ConfigDict(frozen=True)

    release: str
    passed: int
    suites: dict[str, int] = {}
    """Tests that passed, by suite; empty where nobody kept them."""


def passed_before(release: str, figures: Mapping[str, JsonValue]) -> TestsBefore | None:
    """By the figures of the gate's statement; None where they do not say how many passed."""
    try:
        return TestsBefore.model_validate({**figures, "release": release})
    except ValidationError:
        return None


def too_few(passed: int, skipped: int, bounds: SuiteBounds, before: TestsBefore | None, where: str) -> Iterator[str]:
    """Why nobody knows of a green suite whether it was all there: each says what was seen, expected, and what to do.

    *where*: the settings' table that *bounds* stand in.
    """
    if passed < bounds.fewest_passed:
        yield f"expected at least {bounds.fewest_passed:,} that pass: run the others, or lower fewest_passed in {where}"
    if skipped > bounds.most_skipped:
        yield f"expected at most {bounds.most_skipped:,} skipped: run them, or raise most_skipped in {where}"
    if before and 100 * passed < before.passed * (100 - bounds.most_lost_percent):
        yield (
            f"{before.passed:,} passed of {before.release}, expected at most {bounds.most_lost_percent} % fewer: "
            f"bring them back, or raise most_lost_percent in {where}"
        )


def lost_suites(passed: int, suites: Mapping[str, int], before: TestsBefore | None) -> tuple[str, ...]:
    """Each suite of which fewer tests passed than of the last certified release, the largest loss first."""
    if before is None:
        return ()
    if not (suites and before.suites):
        suites, before = {"all of them": passed}, before.model_copy(update={"suites": {"all of them": before.passed}})
    lost = {name: count - suites.get(name, 0) for name, count in before.suites.items() if count > suites.get(name, 0)}
    return tuple(
        f"{name}: {suites.get(name, 0):,} passed, {before.suites[name]:,} of {before.release}"
        for name in sorted(lost, key=lambda name: (-lost[name], name))
    )
