"""Runs of the flow `onboard-tenant`, one after the other in this process, each recorded by Prefect."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from flows.onboard_tenant import OnboardRequest, onboard_tenant


def onboard(names: Iterable[str]) -> Iterator[str]:
    """A line for each tenant once it is searchable. The first that is not ends it with the flow's error."""
    for name in names:
        report = onboard_tenant(OnboardRequest(tenant=name))
        yield f"  {name}: {report.verdict}, searchable after {report.seconds:.1f} s"
