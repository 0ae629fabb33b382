"""Why what was billed costs other than the list prices say: by the day's lines, each against the usage that it is for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from steward.costs.causes import Cause, Share
from steward.costs.cells import CLASSES
from steward.costs.values import Line, Terms

#: Reports state costs to a millionth of a dollar or finer.
UNIT = Decimal("0.000001")
#: A multiplier is what lines of more than half of the dollars have in common.
_COMMON = Decimal("0.5")
_RATIO = Decimal("1E-9")


@dataclass(frozen=True, slots=True)
class Expected:
    """A line as usage and list prices have it."""

    line: Line
    quantity: int
    """Of it the usage reports."""
    amount: Decimal
    """At list prices, each hour at that hour's."""
    rate: Decimal
    """At the day's beginning."""
    long_rate: Decimal | None = None
    """Where prompts may be billed at another rate by their size, and the line does not tell; dollars a unit."""
    other_rates: tuple[tuple[str, Decimal], ...] = ()
    """Prices of the same thing at other times: since when, and dollars a unit."""


def explain_rates(expected: Iterable[Expected], terms: Terms) -> list[Share]:
    """What each line's amount has over, or under, its usage at list prices."""
    shares, lines = list[Share](), list[Expected]()
    for each in expected:
        if each.line.item not in CLASSES:
            shares.append(_share(Cause.OTHER_ITEM, each, each.line.amount, f"billed as {each.line.item}"))
        elif each.line.tier in terms.committed_tiers and not each.line.amount:
            shares.append(_share(Cause.COMMITMENT, each, -each.amount, f"{each.line.tier} is paid by commitment"))
        elif each.amount or each.line.amount:
            lines.append(each)
    multiplier = _common_ratio(lines)
    by_model = _model_multipliers(lines, multiplier)
    for each in lines:
        shares += _explain(each, multiplier, by_model[each.line.project, each.line.model], terms)
    return shares


def _explain(each: Expected, multiplier: Decimal, own: Decimal, terms: Terms) -> list[Share]:
    shares = list[Share]()
    undiscounted = each.line.amount / multiplier / own
    if found := _other_price(each, undiscounted - each.amount):
        shares.append(found)
    priced = sum((share.amount for share in shares), each.amount)
    if own != 1:
        cause = Cause.REGIONAL_RATE if own in terms.regional_multipliers else Cause.DISCOUNT
        evidence = f"every line of {each.line.model} in {each.line.project} is billed at {_percent(own)} of its price"
        shares.append(_share(cause, each, priced * (own - 1), evidence))
        priced *= own
    if multiplier != 1:
        agreed = multiplier == 1 - terms.discount
        evidence = (
            f"billed at {_percent(multiplier)} of list prices, {'as agreed' if agreed else 'which nobody agreed'}"
        )
        shares.append(_share(Cause.DISCOUNT, each, priced * (multiplier - 1), evidence))
    return shares


def _other_price(each: Expected, over: Decimal) -> Share | None:
    """A price of another time for all of it; else the rate of long prompts for a whole number of its units."""
    if abs(over) <= UNIT / 2:
        return None
    for since, rate in each.other_rates:
        if units := _units(over, rate - each.rate, each.quantity):
            evidence = f"{units:,} units at the price of {since}"
            if units == each.quantity:
                return _share(Cause.PRICE_CHANGE, each, over, evidence)
    if each.long_rate is not None and (units := _units(over, each.long_rate - each.rate, each.quantity)):
        return _share(Cause.LONG_CONTEXT, each, over, f"{units:,} more units at the rate of long prompts")
    for since, rate in each.other_rates:
        if units := _units(over, rate - each.rate, each.quantity):
            return _share(Cause.PRICE_CHANGE, each, over, f"{units:,} units at the price of {since}")
    return None


def _units(over: Decimal, difference: Decimal, most: int) -> int:
    """How many units at a rate that differs by *difference* come to *over*, if a whole number does; else 0."""
    if not difference:
        return 0
    if abs(over - most * difference) <= UNIT / 2:
        return most
    units = int((over / difference).to_integral_value())
    # Finer than the reports' unit: any amount comes near to some number of cheap tokens.
    return units if 0 < abs(units) <= most and abs(over - units * difference) <= abs(difference) / 1000 else 0


def _model_multipliers(lines: Sequence[Expected], multiplier: Decimal) -> dict[tuple[str, str], Decimal]:
    """What all lines of a model in a project have in common beyond the account's multiplier."""
    groups = defaultdict[tuple[str, str], list[Expected]](list)
    for each in lines:
        groups[each.line.project, each.line.model].append(each)
    return {name: _model_multiplier(group, multiplier) for name, group in groups.items()}


def _model_multiplier(group: Sequence[Expected], multiplier: Decimal) -> Decimal:
    own = (_common_ratio(group) / multiplier).quantize(_RATIO).normalize()
    # One line alone has something in common with itself, and prices may have risen all by the same ratio.
    alike = [each for each in group if _ratio(each) == (own * multiplier).quantize(_RATIO).normalize()]
    is_common = len(alike) > 1 and not all(_is_repriced(each, multiplier) for each in alike)
    return own if is_common else Decimal(1)


def _is_repriced(each: Expected, multiplier: Decimal) -> bool:
    over = each.line.amount / multiplier - each.amount
    return any(_units(over, rate - each.rate, each.quantity) == each.quantity for _, rate in each.other_rates)


def _common_ratio(lines: Sequence[Expected]) -> Decimal:
    """Of what was billed to list prices, where lines of more than half of the dollars have the same; else 1."""
    weights = defaultdict[Decimal, Decimal](Decimal)
    for each in lines:
        if each.amount > 0 and each.line.amount > 0:
            weights[_ratio(each)] += each.amount
    if not weights:
        return Decimal(1)
    ratio, weight = max(weights.items(), key=lambda item: (item[1], item[0]))
    return ratio if weight > _COMMON * sum(weights.values()) else Decimal(1)


def _ratio(each: Expected) -> Decimal:
    return (each.line.amount / each.amount).quantize(_RATIO).normalize()


def _percent(ratio: Decimal) -> str:
    return f"{(ratio * 100).normalize():f} %"


def _share(cause: Cause, each: Expected, amount: Decimal, evidence: str) -> Share:
    line = each.line
    return Share(
        cause, line.project, line.key or "", line.model, line.tier, line.context, line.item, 0, amount, evidence
    )
