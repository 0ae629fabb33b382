"""Feature flags: what they are, what SDKs are told of them, and what may change while users are in them.

    flag = Flag(key="new-search", variants={"on": True, "off": False}, off="off")
    wider = flag.exposing(5, "on").changed(lease_until=until)
    require_monotonic(flag, wider)      # steward.flags.transitions
    pushed = validated([wider])         # steward.flags.validation: the document, read as it is meant

An application takes `steward.flags.application` along; docs/flags.md has the format and what is promised.
"""

from steward.flags.model import TENANT, Audience, Flag, Split

__all__ = ["TENANT", "Audience", "Flag", "Split"]
