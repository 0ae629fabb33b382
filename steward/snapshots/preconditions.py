"""What must hold before anything is touched: each check names what it saw, what it wanted, and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from steward.errors import BadInput, StewardError
from steward.snapshots.policy import SnapshotPolicy

# Elasticsearch's flood stage: at 95 % used it makes indices read-only, and a restore would stop halfway.
FLOOD_STAGE = 0.95


class ClockSkew(StewardError):
    """Two clocks disagree, so no age, lease or retention could be trusted."""


class DiskTooSmall(StewardError):
    """A disk cannot hold what the next step would write."""


def check_policy(policy: SnapshotPolicy) -> None:
    """What no other precondition sees: parts of the policy that need one another."""
    if policy.offsite and not policy.blobs:
        raise BadInput(
            "the policy copies blobs off site that it does not check: offsite is on, and blobs is off",
            hint="switch blobs on, since a copy is made of what was read and found sound; or switch offsite off, too",
        )


def check_clocks(offsets: Mapping[str, float], most_seconds: float) -> None:
    """*offsets*: seconds by which each server's clock is ahead of ours, with the doubt of the round trip removed."""
    name, offset = max(offsets.items(), key=lambda item: abs(item[1]), default=("", 0.0))
    if abs(offset) > most_seconds:
        raise ClockSkew(
            f"the clock of {name} is {offset:+.1f} s off ours; at most {most_seconds:g} s is allowed",
            hint="let NTP mend it on the host that is wrong; ages and retention are computed from these clocks",
        )


class ClusterFull(StewardError):
    """Elasticsearch has made indices read-only because a disk is full."""


def check_not_full(blocked: Sequence[str]) -> None:
    """*blocked*: indices that the flood stage made read-only."""
    if blocked:
        raise ClusterFull(
            f"{len(blocked)} indices are read-only since a disk is full, {blocked[0]} among them",
            hint="free or enlarge the data nodes' disks; Elasticsearch lifts the block by itself below its watermark",
        )


def check_disk(name: str, total: int, available: int, needed: int) -> None:
    """Whether *needed* bytes fit on the node's disk below Elasticsearch's flood stage. All in bytes."""
    room = available - round(total * (1 - FLOOD_STAGE))
    if needed > room:
        raise DiskTooSmall(
            f"node {name} has room for {max(room, 0):,} bytes below its flood stage; {needed:,} are needed",
            hint="free or enlarge its disk, or lower restore_bytes so that fewer tenants are restored at a time",
        )


def check_repository(name: str, known: Mapping[str, Mapping[str, object]], cluster: str, *, readonly: bool) -> None:
    """Whether repository *name* is registered on *cluster*, read-only where restores are made."""
    if name not in known:
        raise BadInput(
            f"unknown repository {name!r} on {cluster}; registered: {', '.join(sorted(known)) or 'none'}",
            hint="run the flow provision-search, or name one of the registered repositories",
        )
    settings = known[name].get("settings")
    is_readonly = isinstance(settings, Mapping) and str(settings.get("readonly", "false")) == "true"
    if is_readonly is not readonly:
        raise BadInput(
            f"repository {name!r} on {cluster} is {'read-only' if is_readonly else 'writable'}; "
            f"expected {'read-only' if readonly else 'writable'}",
            hint="two clusters that write one repository destroy it: only the source may write",
        )
