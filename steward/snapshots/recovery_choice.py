"""Which copy is restored: the one that was named, or the newest whose night nothing is known against.

The bucket alone has to be enough. Steward's record of nights, where it is there, says what came of each; a night that it
does not know is no worse for that: the record may be younger than the copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from steward.errors import BadInput, StewardError, is_transient
from steward.repository.copying import root_of
from steward.snapshots.offsite_document import OffsiteDocument
from steward.snapshots.recovery_request import RecoveryRequest
from steward.verdicts import Verdict

NOT_ON_RECORD, WITHOUT_VERDICT = "not on record", "without a verdict"
#: Nights named in a refusal.
MOST_NAMED = 5


class NoSuchCopy(BadInput):
    """The bucket holds no copy that was asked for, or none that nothing is known against."""


@dataclass(frozen=True)
class ListedCopy:
    """A copy as the bucket lists it: its document's key says this much, and the version is the one written first."""

    night: date
    snapshot_uuid: str
    root: str
    key: str
    version: str


@dataclass(frozen=True)
class Chosen:
    """The copy, what the record says of its night, and the newer ones that were passed over, with why."""

    listed: ListedCopy
    document: OffsiteDocument
    standing: str
    passed_over: tuple[str, ...] = ()


Record = Mapping[str, tuple[date, Verdict | None]]
"""By the snapshot's name: its night, and what came of it."""
Read = Callable[[ListedCopy], OffsiteDocument]


def choose(request: RecoveryRequest, listed: Sequence[ListedCopy], read: Read, record: Record) -> Chosen:
    """The copy to restore; *listed* is the newest night first. Each document is read once, and no more than needed.

    Without a snapshot named, one whose night is on record as anything but VERIFIED is passed over, as is one whose
    document cannot be read. NoSuchCopy says which there are. Raises what *read* does where waiting may cure it.
    """
    asked = [each for each in listed if request.night in (None, each.night)]
    if not asked:
        raise _absent(request, listed)
    search = _Search(read, record)
    for copy in search.readable(asked):
        if _is_wanted(copy, request):
            return copy
        search.pass_over(copy)
    raise _none_left(request, search.passed_over)


def _is_wanted(copy: Chosen, request: RecoveryRequest) -> bool:
    if request.snapshot:
        return request.snapshot in (copy.document.blobs.snapshot, copy.listed.snapshot_uuid)
    return copy.standing in (Verdict.VERIFIED, NOT_ON_RECORD)


@dataclass
class _Search:
    read: Read
    record: Record
    passed_over: list[str] = field(default_factory=list[str])

    def readable(self, listed: Iterable[ListedCopy]) -> Iterator[Chosen]:
        for each in listed:
            try:
                document = self.read(each)
            except StewardError as error:
                if is_transient(error):
                    raise
                self.passed_over.append(f"{each.night} ({each.snapshot_uuid}): {error.message}")
                continue
            if strange := _strange(each, document):
                self.passed_over.append(f"{each.night} ({each.snapshot_uuid}): {strange}")
                continue
            standing = standing_of(document.blobs.snapshot, self.record)
            yield Chosen(each, document, standing, tuple(self.passed_over))

    def pass_over(self, copy: Chosen) -> None:
        self.passed_over.append(f"{copy.document.blobs.snapshot}: {copy.standing}")


def _strange(listed: ListedCopy, document: OffsiteDocument) -> str | None:
    """Where it says that it is of something else than its key does: put there by somebody, or by mistake."""
    blobs = document.blobs
    told = (root_of(document.cluster, blobs.repository), document.night, blobs.snapshot_uuid)
    if told == (listed.root, listed.night, listed.snapshot_uuid):
        return None
    return f"its document is of {told[0]}, night {told[1]}, snapshot {told[2]}"


def standing_of(snapshot: str, record: Record) -> str:
    """What the record says of *snapshot*: its verdict, that it came to none, or nothing at all."""
    if snapshot not in record:
        return NOT_ON_RECORD
    return record[snapshot][1] or WITHOUT_VERDICT


def _absent(request: RecoveryRequest, listed: Sequence[ListedCopy]) -> NoSuchCopy:
    if not listed:
        return NoSuchCopy(
            f"the bucket holds no copy of cluster {request.cluster!r}",
            hint="copies lie under the name that the cluster had in the settings when they were made: "
            "list the bucket's top folders",
        )
    nights = sorted({str(each.night) for each in listed}, reverse=True)
    return NoSuchCopy(
        f"the bucket holds no copy of cluster {request.cluster!r} of night {request.night}; the newest: "
        f"{', '.join(nights[:MOST_NAMED])}",
        hint="name one of these, or leave the night empty",
    )


def _none_left(request: RecoveryRequest, passed_over: Sequence[str]) -> NoSuchCopy:
    seen = "; ".join(passed_over[:MOST_NAMED])
    if request.snapshot:
        return NoSuchCopy(
            f"no copy of cluster {request.cluster!r} is of snapshot {request.snapshot!r}; seen: {seen}",
            hint="name one of these, or leave the snapshot empty",
        )
    return NoSuchCopy(
        f"nothing speaks for any copy of cluster {request.cluster!r} that was asked for: {seen}",
        hint="name the snapshot to restore it all the same: it is compared with what its night found, whatever that came to",
    )
