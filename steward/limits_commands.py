"""`python -m steward limits load | show`: the limiter's functions on every master, and what a ring looks like."""

from __future__ import annotations

import argparse

from steward.clients.ratelimit import load_functions, open_limiter
from steward.ratelimit import Ring, State
from steward.settings import Settings


def load_limits(settings: Settings, _chosen: argparse.Namespace) -> list[str]:
    """Replicas and restarts keep them; a master that is added begins without. Harmless twice."""
    return [f"{master}: {done}" for master, done in load_functions(settings).items()]


def show_limits(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """Changes nothing."""
    with open_limiter(settings) as limiter:
        return [line for name in chosen.rings for line in _told(name, limiter.show(Ring(name)))]


def _told(name: str, state: State) -> list[str]:
    if not state.known:
        return [
            f"{name}: nothing is known of it; its first reservation begins it, exhausted unless its policy says empty"
        ]
    used = state.used
    tokens = f"{used.input_tokens:,} input and {used.output_tokens:,} output tokens"
    within = f"in the last {state.ring_seconds} s, {state.waiting} tenants waiting"
    lines = [f"{name}: {used.requests:,} requests, {tokens} {within}"]
    if state.stale:
        lines.append("  kept by a server that was promoted or restarted since: the next reservation begins it anew")
    if state.opens_in_seconds:
        lines.append(f"  starts exhausted: it opens in {state.opens_in_seconds:.1f} s")
    if state.blocked_seconds:
        lines.append(f"  left alone for {state.blocked_seconds:.1f} s more, as the provider asked")
    if state.factor < 1:
        lines.append(f"  {state.factor:.0%} of the limit is used, since the provider answered 429")
    told = {limit: most for limit, most in (state.allowed or {}).items() if most is not None}
    lines += [f"  the provider told of {most:,} {limit.replace('_', ' ')}" for limit, most in told.items()]
    return lines
