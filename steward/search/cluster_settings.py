"""The persistent cluster settings that the description decides."""

from __future__ import annotations

from steward.search.description import Watermarks

_DISK = "cluster.routing.allocation.disk.watermark"


def cluster_settings(watermarks: Watermarks) -> dict[str, str]:
    """Flat keys and the values that `GET _cluster/settings?flat_settings=true` answers for them."""
    return {
        # The default, held fast: DELETE * must name what it deletes.
        "action.destructive_requires_name": "true",
        f"{_DISK}.low": f"{watermarks.low}%",
        f"{_DISK}.high": f"{watermarks.high}%",
        f"{_DISK}.flood_stage": f"{watermarks.flood_stage}%",
    }
