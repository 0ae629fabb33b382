"""The proof of an off-site copy by the copy alone: fetched, restored on another cluster, and compared by its digests.

Nothing here reads the primary repository, nor the cluster that wrote it: both may be gone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from steward.clients.offsite_bucket import OffsiteBucket
from steward.clients.offsite_fetching import Damaged, Fetched, fetch
from steward.clients.staging import StagingPlace
from steward.repository.copying import Copied
from steward.snapshots.api import SearchApi
from steward.snapshots.findings import Finding, refuted, unknown
from steward.snapshots.offsite_document import OffsiteDocument
from steward.snapshots.offsite_restoring import content_digests, register
from steward.snapshots.restoring import Restored, restore


@dataclass(frozen=True)
class Target:
    """Where it is restored, and what is made there: both names are one run's alone."""

    api: SearchApi
    repository: str
    prefix: str


@dataclass
class Proof:
    """What it came to."""

    fetched: Fetched
    findings: list[Finding] = field(default_factory=list[Finding])
    compared: dict[str, int] = field(default_factory=dict[str, int])
    """Documents by index: as many as the digests say, which were equal."""
    restore_seconds: float = 0.0

    @property
    def rto_seconds(self) -> float:
        """From the first blob fetched to searchable shards."""
        return self.fetched.seconds + self.restore_seconds


def prove_copy(
    bucket: OffsiteBucket,
    document: OffsiteDocument,
    place: StagingPlace,
    target: Target,
    digests: Mapping[str, str],
    *,
    on_blob: Callable[[int, int], None] = lambda _done, _of: None,
    on_poll: Callable[[], None] = lambda: None,
) -> Proof:
    """Restore the indices of *digests* from the copy that *document* pins, and compare each with the digest expected.

    *digests*: `ALGORITHM:DOCUMENTS:HEX` by index. A damaged blob refutes, is named, and leaves its index out; without what
    all indices need nothing is restored. What is fetched, registered and restored stays: clearing it is the caller's.
    """
    proof = Proof(fetch(bucket, document, place, digests.keys(), on_blob=on_blob))
    damaged = proof.fetched.damaged
    proof.findings += [_damage(each) for each in damaged]
    whole = [index for index in digests if not any(each.index in {index, None} for each in damaged)]
    if whole:
        register(target.api, target.repository, place.repository())
        snapshot = document.blobs.snapshot
        restored = restore(target.api, target.repository, snapshot, whole, target.prefix, on_poll=on_poll)
        proof.restore_seconds = restored.seconds
        _compare(proof, target.api, restored, digests)
    return proof


def distrusted(known: Mapping[str, Copied], damaged: Sequence[Damaged]) -> dict[str, Copied]:
    """What is on record of *damaged* copies, as copies that the next night uploads anew. Others by now are left alone."""
    return {
        each.path: known[each.path].distrusted()
        for each in damaged
        if each.path in known and known[each.path].version == each.version
    }


def _damage(damaged: Damaged) -> Finding:
    subject = f"{damaged.index}[{damaged.path}]" if damaged.index else damaged.path
    return refuted(subject, f"its off-site copy of version {damaged.version}: {damaged.fact}")


def _compare(proof: Proof, there: SearchApi, restored: Restored, digests: Mapping[str, str]) -> None:
    lost = {shard.index for shard in restored.failed} | set(restored.missing)
    proof.findings += [refuted(index, "the off-site copy does not hold it") for index in restored.missing]
    for shard in restored.failed:
        say = refuted if shard.damaged else unknown
        fact = f"it could not be restored from the off-site copy: {shard.reason}"
        proof.findings.append(say(f"{shard.index}[{shard.shard}]", fact))
    seen = content_digests(there, restored.prefix, [name for name in restored.indices if name not in lost])
    for index, digest in seen.items():
        if digest == digests[index]:
            proof.compared[index] = int(digest.split(":")[1])
        else:
            fact = f"restored from the off-site copy its content digest is {digest}, expected {digests[index]}"
            proof.findings.append(refuted(index, fact))
