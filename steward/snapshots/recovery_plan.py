"""What a recovery will do, said before anything is touched: which indices, under which names, how much, how long."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date

from pydantic import AwareDatetime, BaseModel, ConfigDict

from steward.errors import BadInput
from steward.snapshots.offsite_document import OffsiteDocument, OffsiteIndex, version_numbers
from steward.snapshots.preconditions import FLOOD_STAGE, DiskTooSmall
from steward.snapshots.recovery_choice import Chosen
from steward.snapshots.recovery_request import Names, RecoveryRequest

#: Elasticsearch's own bound for what a node restores in a second (indices.recovery.max_bytes_per_sec).
NODE_BYTES_PER_SECOND = 40_000_000
#: What one machine fetched from a bucket near by, eight at a time, and hashed (docs/runbooks/restore-from-offsite.md).
FETCH_BYTES_PER_SECOND = 60_000_000
#: Of the blobs, which are compressed: what was digested from a restored index.
COMPARE_BYTES_PER_SECOND = 5_000_000
MOST_NAMED = 5
#: The ledger keeps the plan and the report, at most 4 MiB each; of an index about 500 bytes.
MOST_INDICES = 5_000
_KIBI = 1024
_SAID_IN_SECONDS, _SAID_IN_MINUTES = 90, 120


class IndexInTheWay(BadInput):
    """There is an index or an alias of a name that would be restored. Nothing is ever restored over it."""


class ClusterTooOld(BadInput):
    """An older Elasticsearch does not read what a newer one wrote."""


class PlannedIndex(BaseModel):
    """An index as it was, and what it will be called."""

    model_config = ConfigDict(frozen=True)

    name: str
    target: str
    tenant: str
    aliases: tuple[str, ...] = ()
    bytes: int
    """Of its blobs: to be fetched."""
    documents: int | None = None
    digest: str | None = None
    """`ALGORITHM:DOCUMENTS:HEX`, as the night found it; None: the night did not read this index in full."""


class RecoveryPlan(BaseModel):
    """One recovery. Everything after the approval is done by this, whatever the bucket holds by then."""

    model_config = ConfigDict(frozen=True)

    cluster: str
    into: str
    names: Names
    repository: str
    """The name that the snapshot's repository had; the copy is registered as `place`."""
    snapshot: str
    snapshot_uuid: str
    night: date
    taken_at: AwareDatetime
    standing: str
    """What Steward's own record says of the night."""
    passed_over: list[str] = []
    root: str
    manifest_key: str
    manifest_version: str
    manifest_sha256: str
    """Of the list of blobs: it stands in the night's statement, too."""
    place: str
    """How the staging folder and the repository registered there are called. It carries the token."""
    indices: list[PlannedIndex]
    nodes: int
    leftovers: dict[str, str] = {}
    """Name → UUID of what an earlier recovery restored and never opened: removed when this one begins."""
    began_at: AwareDatetime
    ended_at: AwareDatetime

    @property
    def bytes(self) -> int:
        """To fetch, and to restore."""
        return sum(each.bytes for each in self.indices)

    @property
    def documents(self) -> int:
        """Those that the night counted."""
        return sum(each.documents or 0 for each in self.indices)

    @property
    def tenants(self) -> list[str]:
        """Whose indices they are."""
        return sorted({each.tenant for each in self.indices})

    @property
    def unproved(self) -> list[str]:
        """Indices whose documents the night did not read: they can be restored, and not be compared."""
        return [each.name for each in self.indices if each.digest is None]

    @property
    def seconds(self) -> dict[str, float]:
        """What each stage will take, about."""
        return {
            "fetch": self.bytes / FETCH_BYTES_PER_SECOND,
            "restore": self.bytes / (NODE_BYTES_PER_SECOND * max(1, self.nodes)),
            "compare": self.bytes / COMPARE_BYTES_PER_SECOND,
        }


def place_of(token: int) -> str:
    """How this recovery's staging folder and repository are called: a late call of a dead one names another."""
    return f"recovery-{token}"


def plan_indices(request: RecoveryRequest, document: OffsiteDocument, token: int) -> list[PlannedIndex]:
    """The indices that were asked for. BadInput names a tenant that the copy does not hold, or says that it is too many."""
    chosen = list(_wanted(request, document))
    if len(chosen) > MOST_INDICES:
        raise BadInput(
            f"{len(chosen):,} indices were asked for; at most {MOST_INDICES:,} are restored at a time",
            hint="name tenants, the most important first, and run it once for each part",
        )
    prefix = f"recovered-{document.night:%Y%m%d}-{token}-" if request.names is Names.UNDER_PREFIX else ""
    return [
        PlannedIndex(
            name=each.name,
            target=prefix + each.name,
            tenant=each.tenant,
            aliases=tuple(each.aliases),
            bytes=each.bytes,
            documents=each.documents,
            digest=each.digest,
        )
        for each in sorted(chosen, key=lambda index: index.name)
    ]


def _wanted(request: RecoveryRequest, document: OffsiteDocument) -> Iterable[OffsiteIndex]:
    held = {each.tenant for each in document.indices}
    if unknown := sorted(set(request.tenants) - held):
        raise BadInput(
            f"the copy of {document.blobs.snapshot} holds {len(held)} tenants, and not {unknown[0]!r}",
            hint=f"it holds {', '.join(sorted(held)[:MOST_NAMED])}{' …' if len(held) > MOST_NAMED else ''}; "
            "a tenant onboarded since is in no older night",
        )
    if not held:
        raise BadInput(f"the copy of {document.blobs.snapshot} holds no index", hint="choose another night")
    return [each for each in document.indices if not request.tenants or each.tenant in request.tenants]


def check_names(cluster: str, names: Names, *, proves_nights: bool) -> None:
    """BadInput: on a cluster where nights are proved, an alias would be in the way of every night's own copies."""
    if proves_nights and names is Names.AS_THEY_WERE:
        raise BadInput(
            f"cluster {cluster} is where nights are proved: an alias of a tenant there makes every proof fail",
            hint="restore under a prefix there",
        )


def check_free(
    indices: Iterable[PlannedIndex], names: Names, there: Iterable[str], aliases: Mapping[str, Sequence[str]]
) -> None:
    """IndexInTheWay: *there* are indices of the target cluster, *aliases* its aliases with their indices.

    An alias would be shared by what is restored and what is there: clients would then find both, and write neither.
    """
    held = set(there)
    taken = [f"index {each.target}" for each in indices if each.target in held]
    taken += [f"alias {each.target}" for each in indices if each.target in aliases]
    if names is Names.AS_THEY_WERE:
        brought = sorted({alias for each in indices for alias in each.aliases})
        taken += [f"alias {alias} (of {', '.join(sorted(aliases[alias]))})" for alias in brought if alias in aliases]
        taken += [f"index {alias}" for alias in brought if alias in held]
    if taken:
        more = f" and {len(taken) - MOST_NAMED} more" if len(taken) > MOST_NAMED else ""
        raise IndexInTheWay(
            f"{', '.join(taken[:MOST_NAMED])}{more}: there already, and nothing is restored over it",
            hint="restore under a prefix, or delete by hand what is no longer wanted, and run it again",
        )


def check_room(where: str, disks: Mapping[str, tuple[int, int]], needed: int) -> None:
    """DiskTooSmall: *disks* together cannot hold *needed* bytes below the flood stage. (total, available) by name."""
    room = sum(max(0, available - round(total * (1 - FLOOD_STAGE))) for total, available in disks.values())
    if needed > room:
        raise DiskTooSmall(
            f"{where} has room for {room:,} bytes below its flood stage; {needed:,} are needed, without replicas",
            hint="add disks or nodes, or restore fewer tenants at a time",
        )


def check_version(snapshot: str, wrote: str, nodes: Mapping[str, str]) -> None:
    """ClusterTooOld: a node is older than the Elasticsearch that *wrote* the snapshot. A version nobody noted passes."""
    older = sorted(
        name for name, version in nodes.items() if wrote and version_numbers(version) < version_numbers(wrote)
    )
    if older:
        raise ClusterTooOld(
            f"node {older[0]} is Elasticsearch {nodes[older[0]]}; {snapshot} was taken by {wrote}",
            hint="bring up a cluster of that version or a newer one",
        )


def question(plan: RecoveryPlan, request: RecoveryRequest) -> str:
    """What a person is asked before anything is fetched: one paragraph, above the form."""
    how = "as they were, with their aliases" if plan.names is Names.AS_THEY_WERE else "beside what there is"
    unproved = f" {len(plan.unproved)} of them can only be restored, not compared." if plan.unproved else ""
    removed = (
        f" {len(plan.leftovers)} indices of a recovery that ended unproved are deleted first." if plan.leftovers else ""
    )
    return (
        f"Restore {len(plan.indices)} indices of {len(plan.tenants)} tenants ({plan.documents:,} documents, "
        f"{size(plan.bytes)}) into {plan.into}, {how}, from the copy of {plan.snapshot}, taken "
        f"{plan.taken_at:%Y-%m-%d %H:%M} UTC, whose night is {plan.standing}? About {about(sum(plan.seconds.values()))}."
        f"{unproved}{removed} Asked for because: {request.because}"
    )


def size(count: int) -> str:
    """Bytes, as people say them."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < _KIBI:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= _KIBI
    return f"{value:.1f} TiB"


def about(seconds: float) -> str:
    """A length of time, no more exact than an estimate is."""
    minutes = round(seconds / 60)
    if seconds < _SAID_IN_SECONDS:
        return f"{max(1, round(seconds))} s"
    return f"{minutes} min" if minutes < _SAID_IN_MINUTES else f"{minutes / 60:.0f} h"


def made_plan(
    request: RecoveryRequest,
    chosen: Chosen,
    token: int,
    *,
    nodes: int,
    leftovers: Mapping[str, str],
    began_at: AwareDatetime,
    ended_at: AwareDatetime,
) -> RecoveryPlan:
    """The plan by which *chosen* is restored."""
    document = chosen.document
    return RecoveryPlan(
        cluster=request.cluster,
        into=request.target,
        names=request.names,
        repository=document.repository,
        snapshot=document.blobs.snapshot,
        snapshot_uuid=document.blobs.snapshot_uuid,
        night=document.night,
        taken_at=document.taken_at,
        standing=chosen.standing,
        passed_over=list(chosen.passed_over),
        root=chosen.listed.root,
        manifest_key=chosen.listed.key,
        manifest_version=chosen.listed.version,
        manifest_sha256=document.blobs.digest(),
        place=place_of(token),
        indices=plan_indices(request, document, token),
        nodes=nodes,
        leftovers=dict(leftovers),
        began_at=began_at,
        ended_at=ended_at,
    )
