"""Documents that no SDK may be sent, by what is wrong with them."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

GOOD: dict[str, Any] = {
    "flags": {
        "x": {
            "state": "ENABLED",
            "variants": {"on": True, "off": False},
            "defaultVariant": "off",
            "targeting": {"fractional": [["on", 5], ["off", 95]]},
        }
    }
}


def _with(**fields: Any) -> dict[str, Any]:
    made = deepcopy(GOOD)
    made["flags"]["x"] |= fields
    return made


def _split(*weights: list[Any]) -> dict[str, Any]:
    return _with(targeting={"fractional": list(weights)})


#: Those that flagd's own schema refuses, or its core at loading: tests/integration/test_flag_agreement.py asks it.
REFUSED_BY_FLAGD: dict[str, Any] = {
    "no flags": {},
    "flags in a list": {"flags": [GOOD["flags"]["x"]]},
    "no state": {"flags": {"x": {"variants": {"on": True}, "defaultVariant": "on"}}},
    "a state that is none": _with(state="ON"),
    "no variants": _with(variants={}),
    "variants of two kinds": _with(variants={"on": True, "off": 0}),
    "a default that is no variant": _with(defaultVariant="away"),
    "a default that is no name": _with(defaultVariant=1),
    "targeting that is no rule": _with(targeting="on"),
    "an operator that is none": _with(targeting={"fractionally": [["on", 5], ["off", 95]]}),
    "a negative weight": _split(["on", -5], ["off", 105]),
    "a weight that is a text": _split(["on", "5"], ["off", 95]),
    "a broken weight": _split(["on", 0.5], ["off", 99]),
    "metadata that is an object": _with(metadata={"rollout": {"id": 1}}),
}

#: Those that flagd takes and somebody would suffer from.
REFUSED_BY_US: dict[str, Any] = {
    "no JSON": _with(variants={"on": {1, 2}}),
    "no number": _with(variants={"on": float("nan"), "off": 0.0}),
    "a state that is no kill switch": _with(state="DISABLED"),
    "a weight that Python does not take": _split(["on", 5.0], ["off", 95]),
    "a variant that only some fall into": _split(["om", 5], ["off", 95]),
    "no default": {"flags": {"x": {"state": "ENABLED", "variants": {"on": True}}}},
    "a key that is hashed in two ways": {"flags": {"ü": GOOD["flags"]["x"]}},
    "another bucketing key": _split({"var": "email"}, ["on", 5], ["off", 95]),
    "an attribute that we do not give": _with(targeting={"if": [{"in": [{"var": "mail"}, ["a"]]}, "on", "off"]}),
    "rules shared by reference": GOOD | {"$evaluators": {"all": {"fractional": [["on", 1]]}}},
}
