"""Flags as flagd's SDKs read them: one document, pushed whole at every change.

Three things in it are safety, not style:

- a killed flag is ENABLED, defaults to its off variant and has no targeting. flagd's own `DISABLED` gives whatever
  default the application's code names, which is no kill switch;
- the lease is a comparison inside the document. When nobody is left to push, time alone takes the split back;
- the growing variant is the first of the split, so that a larger weight exposes all whom a smaller one did.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from steward.flags.model import TENANT, Audience, Flag


def document(flags: Iterable[Flag]) -> dict[str, Any]:
    """All of *flags*, by key, in the format that flagd.sync.v1 carries as JSON."""
    return {"flags": {flag.key: definition(flag) for flag in sorted(flags, key=lambda flag: flag.key)}}


def definition(flag: Flag) -> dict[str, Any]:
    """One flag's part of the document."""
    targeting = flag.off if flag.killed else _targeting(flag)
    return {
        "state": "ENABLED",
        "variants": dict(flag.variants),
        "defaultVariant": flag.off,
        **({} if targeting == flag.off else {"targeting": targeting}),
        **({"metadata": dict(flag.metadata)} if flag.metadata else {}),
    }


def _targeting(flag: Flag) -> Any:
    """A rule, or the off variant's name where there is nothing to decide."""
    answer = _split(flag)
    # One inside the other: older releases of flagd's schema know no `if` of more than three parts.
    for audience in reversed(flag.audiences):
        answer = {"if": [_belongs(audience), audience.variant, answer]}
    return answer


def _split(flag: Flag) -> Any:
    if flag.split is None:
        return flag.off
    fractional = {"fractional": [[name, weight] for name, weight in flag.split.weights]}
    if flag.lease_until is None:
        return fractional
    return {"if": [{"<": [{"var": "$flagd.timestamp"}, flag.lease_until]}, fractional, flag.off]}


def _belongs(audience: Audience) -> dict[str, Any]:
    of_tenant = {"in": [{"var": TENANT}, list(audience.tenants)]}
    of_users = {"in": [{"var": "targetingKey"}, list(audience.users)]}
    return {"or": [rule for rule, names in ((of_tenant, audience.tenants), (of_users, audience.users)) if names]}
