"""What lines have in common: the discount of an account, and what all lines of a model are billed at beyond it.

A multiplier is told by lines that it fits, and list prices do not. One line alone has something in common with itself: it tells
only of a multiplier that was agreed or is a region's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from steward.costs.attribution.expected import Expected
from steward.costs.values import Terms

ONE = Decimal(1)
#: A multiplier that nobody named is what lines of more than half of the dollars have in common.
_COMMON = Decimal("0.5")
#: Digits that multipliers may have.
_PLACES = 9


@dataclass(frozen=True, slots=True)
class Multipliers:
    """Of list prices."""

    account: Decimal
    models: Mapping[tuple[str, str], Decimal]
    """By project and model, beyond the account's."""

    def of(self, each: Expected) -> tuple[Decimal, Decimal]:
        """The account's, and the model's beyond it."""
        return self.account, self.models.get((each.line.project, each.line.model), ONE)


def find_multipliers(lines: Sequence[Expected], terms: Terms) -> Multipliers:
    """Of all lines that have both usage and a cost."""
    groups = defaultdict[tuple[str, str], list[Expected]](list)
    for each in lines:
        if each.is_priced:
            groups[each.line.project, each.line.model].append(each)
    account = _of_account(list(groups.values()), terms)
    return Multipliers(account, {name: _of_model(group, account, terms) for name, group in groups.items()})


def _of_account(groups: Sequence[Sequence[Expected]], terms: Terms) -> Decimal:
    lines, agreed = [each for group in groups for each in group], 1 - terms.discount
    listed = (ONE, *terms.regional_multipliers)
    if _outweighs(lines, [agreed * each for each in listed], listed):
        return agreed
    # Prompts' sizes may hide the ratio of a line that has two rates.
    plain = [each for each in lines if each.long_rate in {None, each.rate}]
    found = None if _is_most(plain or lines, listed) else _commonest(plain, ONE) or _commonest(lines, ONE)
    # An account's discount leaves no model at its list price.
    if found is None or any(_is_most(group, [ONE]) for group in groups):
        return ONE
    within = [(found / each).quantize(ONE.scaleb(-_PLACES)).normalize() for each in listed]
    return max(within, key=lambda each: _weight(_at(lines, [each * region for region in listed])))


def _of_model(group: Sequence[Expected], account: Decimal, terms: Terms) -> Decimal:
    # Searches, which have no model, cost the same everywhere.
    for region in terms.regional_multipliers if group[0].line.model else ():
        told = [each for each in _at(group, [account * region]) if not each.is_at(account)]
        clear = len(told) > 1 or _is_most(group, [account * region])
        if clear and _outweighs(group, [account * region], [account]) and not _are_repriced(told, account):
            return region
    found = None if _is_most(group, [account]) else _commonest(group, account)
    return (found / account).quantize(ONE.scaleb(-_PLACES)).normalize() if found else ONE


def _commonest(lines: Sequence[Expected], usual: Decimal) -> Decimal | None:
    """At which lines of more than half of the dollars are billed, two of them at least that are not at *usual*."""
    for places in range(_PLACES + 1):
        # The shortest that fits: rounding leaves each line a span of them.
        ratios = {(each.line.amount / each.amount).quantize(ONE.scaleb(-places)) for each in _heaviest(lines)}
        found = max(sorted(ratios), key=lambda each: _weight(_at(lines, [each])), default=ONE)
        if found and _is_most(lines, [found]):
            told = [each for each in _at(lines, [found]) if not each.is_at(usual)]
            # Prices may have risen all by the same ratio.
            return found.normalize() if len(told) > 1 and not _are_repriced(told, usual) else None
    return None


def _heaviest(lines: Sequence[Expected]) -> list[Expected]:
    """Lines of half of the dollars: what more than half have in common, one of them has."""
    found, half = list[Expected](), _weight(lines) * _COMMON
    for each in sorted(lines, key=lambda each: each.amount, reverse=True):
        found.append(each)
        if (half := half - each.amount) <= 0:
            break
    return found


def _at(lines: Sequence[Expected], ratios: Collection[Decimal]) -> list[Expected]:
    return [each for each in lines if any(each.is_at(ratio) for ratio in ratios)]


def _weight(lines: Sequence[Expected]) -> Decimal:
    return sum((each.amount for each in lines), Decimal(0))


def _is_most(lines: Sequence[Expected], ratios: Collection[Decimal]) -> bool:
    return _weight(_at(lines, ratios)) > _COMMON * _weight(lines)


def _outweighs(lines: Sequence[Expected], ratios: Collection[Decimal], others: Collection[Decimal]) -> bool:
    """Lines that only *ratios* fit are of more dollars than those that only *others* fit."""
    ours, theirs = _at(lines, ratios), _at(lines, others)
    both = [each for each in ours if each in theirs]
    return _weight(ours) - _weight(both) > _weight(theirs) - _weight(both)


def _are_repriced(lines: Sequence[Expected], ratio: Decimal) -> bool:
    return all(each.is_repriced(ratio) for each in lines)
