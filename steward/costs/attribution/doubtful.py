"""Attempts that the ledger itself is not sure of: those without an end, and streams that ended before their usage was told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steward.costs.attribution.rest import Rest
from steward.costs.attribution.sides import Usual
from steward.costs.causes import Cause
from steward.costs.cells import INPUTS, OUTPUT, Cell, Quantities, prompt_of
from steward.costs.values import Entered


def explain_doubtful(rest: Rest, entered: Mapping[Cell, Entered], usual: Mapping[str, Usual]) -> None:
    """What is over, or below, as far as the bounds of such attempts reach."""
    for cell in rest:
        ours = entered.get(cell)
        if ours and ours.unknown:
            _unknown_attempts(rest, ours, usual.get(cell.model))
        if ours and ours.estimates:
            _estimated_streams(rest, ours)


def _unknown_attempts(rest: Rest, ours: Entered, usual: Usual | None) -> None:
    left, billed = rest[ours.cell], rest.requests(ours.cell)
    if billed is not None and billed <= 0:
        return
    count = ours.unknown if billed is None else min(billed, ours.unknown)
    inputs = _their_inputs(left, ours, ours.reserved[0] * count // ours.unknown)
    # Without any prompt, none of them was billed.
    if not sum(inputs):
        return
    output = _their_output(left, ours, prompt_of((*inputs, 0, 0)), count if billed is not None else None, usual)
    evidence = _billed(ours.unknown, None if billed is None else count)
    rest.take(Cause.UNKNOWN_ATTEMPTS, ours.cell, (*inputs, output, 0), evidence, requests=count if billed else 0)


def _billed(unknown: int, count: int | None) -> str:
    if unknown == 1:
        return "an attempt without an end was billed"
    return f"{'some' if count is None else count} of {unknown} attempts without an end were billed"


def _their_inputs(left: Quantities, ours: Entered, reserved: int) -> list[int]:
    """Both kinds were guessed in the same way: what was billed for the two together is divided as the guesses are."""
    guessed = ours.below[0]
    billed = [max(0, left[index] + (guessed if index == 0 else 0)) for index in INPUTS]
    if not guessed:
        return at_most(billed, ours.reserved[0])
    share = reserved / (reserved + guessed) if reserved else 0.0
    return at_most([round(each * share) for each in billed], ours.reserved[0])


def _their_output(left: Quantities, ours: Entered, prompt: int, count: int | None, usual: Usual | None) -> int:
    written = max(0, left[OUTPUT])
    if ours.estimates and usual:
        # Both may have written it: the unknown ones as much as is usual, and what the streams cannot have.
        expected = usual.output * (count if count is not None else prompt / usual.prompt)
        written = max(min(written, round(expected)), written - ours.above[1])
    return min(written, ours.reserved[1])


def _estimated_streams(rest: Rest, ours: Entered) -> None:
    left = rest[ours.cell]
    # A guess is of no class of input: what one lacks, another may have.
    below = at_most([max(0, -left[index]) for index in INPUTS], ours.below[0])
    over = at_most([max(0, left[index]) for index in INPUTS], ours.above[0] + sum(below))
    inputs = [more - less for more, less in zip(over, below, strict=True)]
    output = max(-ours.below[1], min(left[OUTPUT], ours.above[1]))
    if any(inputs) or output:
        streams = "a stream" if ours.estimates == 1 else f"{ours.estimates} streams"
        evidence = f"{streams} ended before the usage was told"
        rest.take(Cause.ESTIMATED_STREAMS, ours.cell, (*inputs, output, 0), evidence)


def at_most(quantities: Sequence[int], most: int) -> list[int]:
    """The first of them, up to *most* in all."""
    taken: list[int] = []
    for quantity in quantities:
        part = min(quantity, most)
        taken.append(part)
        most -= part
    return taken
