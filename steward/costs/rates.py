"""Why what was billed costs other than the list prices say: by the day's lines, each against the usage that it is for."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from steward.costs.causes import Cause, Share
from steward.costs.cells import CLASSES
from steward.costs.expected import Expected
from steward.costs.multipliers import ONE, find_multipliers
from steward.costs.values import Terms


def explain_rates(expected: Iterable[Expected], terms: Terms, *, final: bool) -> list[Share]:
    """What each line's amount has over, or under, its usage at list prices."""
    shares, lines = list[Share](), list[Expected]()
    for each in expected:
        if each.line.item not in CLASSES:
            shares.append(_share(Cause.OTHER_ITEM, each, each.line.amount, f"billed as {each.line.item}"))
        elif each.line.tier in terms.committed_tiers and not each.line.amount:
            shares.append(_share(Cause.COMMITMENT, each, -each.amount, f"{each.line.tier} is paid by commitment"))
        elif not (final or each.line.amount or each.is_at(ONE)):
            shares.append(_share(Cause.NOT_YET_STATED, each, -each.amount, "used, and the provider may still bill it"))
        else:
            lines.append(each)
    multipliers = find_multipliers(lines, terms)
    for each in lines:
        if each.is_priced:
            shares += _explain(each, *multipliers.of(each), terms)
    return [share for share in shares if share.amount]


def _explain(each: Expected, multiplier: Decimal, own: Decimal, terms: Terms) -> list[Share]:
    shares = list[Share]()
    if found := _other_price(each, multiplier * own):
        shares.append(found)
    priced = sum((share.amount for share in shares), each.amount)
    if own != ONE:
        cause = Cause.REGIONAL_RATE if own in terms.regional_multipliers else Cause.DISCOUNT
        evidence = f"every line of {each.line.model} in {each.line.project} is billed at {_percent(own)} of its price"
        shares.append(_share(cause, each, priced * (own - 1), evidence))
        priced *= own
    if multiplier != ONE:
        agreed = multiplier == 1 - terms.discount
        evidence = (
            f"billed at {_percent(multiplier)} of list prices, {'as agreed' if agreed else 'which nobody agreed'}"
        )
        shares.append(_share(Cause.DISCOUNT, each, priced * (multiplier - 1), evidence))
    return shares


def _other_price(each: Expected, ratio: Decimal) -> Share | None:
    """A price of another time for all of it; else the rate of long prompts for a whole number of its units."""
    # A line of more units than the usage has: any price would fit some number of them.
    if each.is_at(ratio) or each.line.quantity not in {None, each.quantity}:
        return None
    differences = [(since, rate - each.rate) for since, rate in each.other_rates]
    for since, difference in differences:
        if _is_all(each, ratio, difference):
            evidence = f"{each.quantity:,} units at the price of {since}"
            return _share(Cause.PRICE_CHANGE, each, each.quantity * difference, evidence)
    longer = each.long_rate - each.rate if each.long_rate is not None else Decimal(0)
    if units := _units(each, ratio, longer):
        evidence = f"{abs(units):,} units {'more' if units > 0 else 'less'} at the rate of long prompts"
        return _share(Cause.LONG_CONTEXT, each, units * longer, evidence)
    for since, difference in differences:
        if units := _units(each, ratio, difference):
            return _share(Cause.PRICE_CHANGE, each, units * difference, f"{units:,} units at the price of {since}")
    return None


def _is_all(each: Expected, ratio: Decimal, difference: Decimal) -> bool:
    return abs(each.over(ratio) - each.quantity * difference * ratio) <= each.slack


def _units(each: Expected, ratio: Decimal, difference: Decimal) -> int:
    """How many units at a rate that differs by *difference* come to what is over, if a whole number does; else 0."""
    if not difference:
        return 0
    if _is_all(each, ratio, difference):
        return each.quantity
    over, unit = each.over(ratio), difference * ratio
    units = int((over / unit).to_integral_value())
    # Finer than the reports' unit: any amount comes near to some number of cheap tokens.
    fits = 0 < abs(units) <= each.quantity and abs(over - units * unit) <= abs(unit) / 1000
    return units if fits else 0


def _percent(ratio: Decimal) -> str:
    return f"{(ratio * 100).normalize():f} %"


def _share(cause: Cause, each: Expected, amount: Decimal, evidence: str) -> Share:
    line = each.line
    return Share(
        cause, line.project, line.key or "", line.model, line.tier, line.context, line.item, 0, amount, evidence
    )
