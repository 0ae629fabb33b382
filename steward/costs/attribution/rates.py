"""Why what was billed costs other than the list prices say: by the day's lines, each against the usage that it is for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal

from steward.costs.attribution.expected import Expected
from steward.costs.attribution.multipliers import ONE, Multipliers, find_multipliers
from steward.costs.causes import Cause, Share
from steward.costs.cells import CLASSES, OUTPUT
from steward.costs.values import Terms

_FINEST = Decimal("1E-12")


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
    told = _long_prompts(lines, multipliers)
    for each in lines:
        if each.is_priced:
            shares += _explain(each, *multipliers.of(each), terms, told)
    return [share for share in shares if share.amount]


_Sold = tuple[str, str | None, str, str]


def _sold(each: Expected) -> _Sold:
    return each.line.project, each.line.key, each.line.model, each.line.tier


def _long_prompts(lines: Iterable[Expected], multipliers: Multipliers) -> set[tuple[_Sold, bool]]:
    """What was sold to more long prompts, or to fewer: both what they read and what was written for them tells so."""
    found = defaultdict[tuple[_Sold, bool], set[bool]](set)
    for each in lines:
        account, own = multipliers.of(each)
        if each.is_priced and (units := _longer(each, account * own)):
            found[_sold(each), units > 0].add(each.line.item == CLASSES[OUTPUT])
    return {name for name, kinds in found.items() if len(kinds) == len({True, False})}


def _explain(
    each: Expected, multiplier: Decimal, own: Decimal, terms: Terms, told: Collection[tuple[_Sold, bool]]
) -> list[Share]:
    shares = list[Share]()
    # The prices of a stranger's prompts are the stranger's as well.
    is_ours = each.line.key is None or each.line.key in terms.gateway_keys
    if found := _other_price(each, multiplier * own, told, Cause.LONG_CONTEXT if is_ours else Cause.PAST_GATEWAY):
        shares.append(found)
    priced = sum((share.amount for share in shares), each.amount)
    if own != ONE:
        cause = Cause.REGIONAL_RATE if own in terms.regional_multipliers else Cause.DISCOUNT
        evidence = f"every line of {each.line.model} in {each.line.project} is billed at {_percent(own)} of its price"
        shares.append(_share(cause, each, _rounded(priced * (own - 1)), evidence))
        priced *= own
    if multiplier != ONE:
        agreed = multiplier == 1 - terms.discount
        evidence = (
            f"billed at {_percent(multiplier)} of list prices, {'as agreed' if agreed else 'which nobody agreed'}"
        )
        shares.append(_share(Cause.DISCOUNT, each, _rounded(priced * (multiplier - 1)), evidence))
    elif terms.discount:
        shares += _not_given(each, _rounded(priced * -terms.discount), terms.discount)
    return shares


def _not_given(each: Expected, agreed: Decimal, discount: Decimal) -> Iterator[Share]:
    """What was agreed is owed: it is taken off as such, and its absence from the bill is a variance."""
    yield _share(Cause.DISCOUNT, each, agreed, f"{_percent(discount)} off list prices, as agreed")
    yield _share(Cause.DISCOUNT, each, -agreed, f"billed at list prices, and {_percent(discount)} off was agreed")


def _other_price(each: Expected, ratio: Decimal, told: Collection[tuple[_Sold, bool]], cause: Cause) -> Share | None:
    """A price of another time for all of it; else the rate of long prompts for a whole number of its units."""
    if each.is_at(ratio):
        return None
    for since, rate in each.other_rates:
        if _is_all(each, ratio, rate - each.rate):
            evidence = f"{each.quantity:,} units at the price of {since}"
            return _share(Cause.PRICE_CHANGE, each, each.quantity * (rate - each.rate), evidence)
    units = _longer(each, ratio)
    if units and each.long_rate is not None and (_sold(each), units > 0) in told:
        evidence = f"{abs(units):,} units {'more' if units > 0 else 'fewer'} at the rate of long prompts"
        return _share(cause, each, units * (each.long_rate - each.rate), evidence)
    return _price_of_a_part(each, ratio)


def _price_of_a_part(each: Expected, ratio: Decimal) -> Share | None:
    """Of the day before, or after: elsewhere the price changes at another hour."""
    for since, rate in each.other_rates:
        units = _units(each, (rate - each.rate) * ratio, ratio) if rate in each.near_rates else 0
        if 0 < units < each.quantity:
            evidence = f"{units:,} units at the price of {since}"
            return _share(Cause.PRICE_CHANGE, each, units * (rate - each.rate), evidence)
    return None


def _is_all(each: Expected, ratio: Decimal, difference: Decimal) -> bool:
    return abs(each.over(ratio) - each.quantity * difference * ratio) <= each.slack


def _longer(each: Expected, ratio: Decimal) -> int:
    """How many more of its units are billed at the rate of long prompts; 0: it does not tell."""
    units = _units(each, (each.long_rate - each.rate) * ratio, ratio) if each.long_rate is not None else 0
    return units if -each.long_units <= units <= each.quantity - each.long_units else 0


def _units(each: Expected, unit: Decimal, ratio: Decimal) -> int:
    """How many units of so many dollars more come to what is over, if a whole number does; else 0."""
    # Of a line of more units than the usage any number might be.
    if not unit or each.is_at(ratio) or each.line.quantity not in {None, each.quantity}:
        return 0
    over = each.over(ratio)
    units = int((over / unit).to_integral_value())
    # All of them within the report's rounding. Of a part, finer: any amount comes near to some number of cheap tokens.
    close = each.slack if abs(units) in {each.quantity, each.long_units} else abs(unit) / 1000
    return units if abs(over - units * unit) <= close else 0


def _percent(ratio: Decimal) -> str:
    return f"{(ratio * 100).normalize():f} %"


def _share(cause: Cause, each: Expected, amount: Decimal, evidence: str) -> Share:
    line = each.line
    return Share(
        cause, line.project, line.key or "", line.model, line.tier, line.context, line.item, 0, amount, evidence
    )


def _rounded(amount: Decimal) -> Decimal:
    """As DECIMAL(38,12) has it: a product of ratios may have more digits than whoever adds it up."""
    return amount.quantize(_FINEST)
