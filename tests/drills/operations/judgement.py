"""What became of an order, by the effect log alone: each effect once, none by a holder that had been replaced."""

from collections import Counter
from dataclasses import asdict, dataclass, fields

_ALWAYS = {"file", "posted", "resource"}
FULFILLED = _ALWAYS | {"mail"}
UNDONE = _ALWAYS | {"resource removed", "refunded"}
#: Made and removed by as many attempts as there are.
_PASSING = {"workspace", "workspace removed"}


@dataclass(frozen=True)
class Tally:
    """What went wrong, of any number of cases; and how many of them a person had to end."""

    cases: int = 0
    lost: int = 0
    doubled: int = 0
    """Effects beyond the first of their kind, and such as the order was not to have."""
    overlaps: int = 0
    """Effects of a token after one of a higher token."""
    leftovers: int = 0
    stuck: int = 0
    stopped_for_a_person: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def figures(self):
        return asdict(self)

    @property
    def faults(self):
        """What must be zero and is not."""
        asked = {name: value for name, value in self.figures.items() if name not in {"cases", "stopped_for_a_person"}}
        return {name: value for name, value in asked.items() if value}


def judge(effects, expected):
    """The tally of one order from its *effects*, in the order of their arrival."""
    seen = Counter(each["effect"] for each in effects)
    return Tally(
        cases=1,
        lost=len(expected - seen.keys()),
        doubled=sum(n - (effect in expected) for effect, n in seen.items() if effect not in _PASSING),
        overlaps=_overlaps(effects),
        leftovers=len(_names(effects, "workspace") ^ _names(effects, "workspace removed")),
    )


def _overlaps(effects):
    highest, late = 0, 0
    for each in effects:
        late += each["token"] < highest
        highest = max(highest, each["token"])
    return late


def _names(effects, effect):
    return {each["name"] for each in effects if each["effect"] == effect}
