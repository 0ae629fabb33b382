"""Whole nights of which nothing is damaged, while tenants write: whatever is refuted is a false alarm."""

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import median

from bench.clean import RATE, _rate
from bench.dataset import make_tenants
from demo.seeding import seed as seed_documents
from demo.tenants import Tenant, largest_tenants
from demo.writers import writing
from steward.clients.blobs_fs import FolderBlobs
from steward.clients.offsite_bucket import open_offsite_bucket
from steward.clients.offsite_copying import CopyTerms, copy_blobs, put_document
from steward.errors import StewardError
from steward.repository.copying import Copied, LockMode, root_of
from steward.search.names import TenantName
from steward.snapshots.blob_check import check_night_blobs
from steward.snapshots.blob_record import Tonight
from steward.snapshots.findings import Finding, unknown
from steward.snapshots.offsite_document import Source, describe
from steward.snapshots.policy import SnapshotPolicy
from steward.snapshots.restoring import drop_restored, restore
from steward.verdicts import Verdict
from tests.drills.faults import offsite, ours, rivals
from tests.drills.faults.case import Case
from tests.drills.faults.ground import Ground, reached
from tests.drills.faults.kinds import Kind, Where

TENANTS = 2
DOCUMENTS = 4_000
NOTHING = Kind("nothing", Where.REPOSITORY, lambda _case: ())
#: In the source when elasticdump and the proof are timed.
SPEED_DOCUMENTS = 40_000
TURNS = 3
#: As in production some of the blobs are due each night, and some are not.
CHECK_DAYS = 5


@dataclass
class Clean:
    """What all runs came to."""

    runs: int = 0
    writes_per_second: float = 0.0
    documents: int = 0
    undecided: int = 0
    blobs: int = 0
    copied: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """Of ours and of elasticdump, and for how many documents."""
    false_alarms: list[Finding] = field(default_factory=list)
    unproved: list[Finding] = field(default_factory=list)

    def add(self, findings: list[Finding]) -> None:
        self.runs += 1
        self.false_alarms += [each for each in findings if each.verdict is Verdict.REFUTED]
        self.unproved += [each for each in findings if each.verdict is Verdict.UNKNOWN]


class Undamaged(Case):
    """One that is restored from what production writes to."""

    @property
    def repository(self) -> str:
        return self.ground.name


class Nights:
    """One cluster's nights: each knows what those before it have left on record."""

    def __init__(self, ground: Ground, tenants: list[Tenant], clean: Clean) -> None:
        self.ground, self.clean = ground, clean
        self.indices = ground.others = [TenantName(tenant.name).first_index for tenant in tenants]
        self.known: dict[str, Copied] = {}

    def run(self, number: int, bucket) -> list[Finding]:
        """A night as its flow makes it: blobs, restores and what is compared, the copy and its proof."""
        case = Undamaged(self.ground, NOTHING, number, 0)
        case.night = self.ground.take(f"night-{number}", self.indices)
        checked = self._blobs(case)
        if checked.findings:
            return list(checked.findings)
        case.restored = restore(self.ground.scratch, self.ground.name, case.night.taken.name, self.indices, case.prefix)
        try:
            findings = self._restored(case)
        finally:
            drop_restored(self.ground.scratch, case.restored.uuids)
        findings += self._offsite(case, bucket)
        self.ground.book.verify()
        return findings

    def speed(self, number: int, elasticdump) -> dict[str, float]:
        """Seconds that the proof and elasticdump take for the same copy of a source at rest: the medians of some turns."""
        case = Undamaged(self.ground, NOTHING, number, 0)
        case.night = self.ground.take(f"night-{number}", self.indices)
        case.restored = restore(self.ground.scratch, self.ground.name, case.night.taken.name, self.indices, case.prefix)
        contenders = {
            "ours": lambda: ours.compared(self.ground, case.night, case.restored).findings,
            "elasticdump": lambda: elasticdump.found(case),
        }
        turns = {name: [] for name in contenders}
        for _ in range(TURNS):
            for name, compare in contenders.items():
                began = time.monotonic()
                assert not compare(), name
                turns[name].append(time.monotonic() - began)
        documents = sum(case.hand.ask("GET", f"/{case.copy_of(index)}/_count")["count"] for index in self.indices)
        return {"documents": documents} | {name: median(each) for name, each in turns.items()}

    def _blobs(self, case):
        taken, book = case.night.taken, self.ground.book
        tonight = Tonight(self.ground.name, taken.name, taken.uuid, book.night, 365, CHECK_DAYS)
        checked = check_night_blobs(FolderBlobs(self.ground.live), self.ground.source, book, tonight)
        self.clean.blobs += checked.new + checked.read_again
        return checked

    def _restored(self, case) -> list[Finding]:
        report = ours.compared(self.ground, case.night, case.restored)
        self.digests = {each.index: each.digest for each in report.indices if each.digest}
        self.clean.documents += sum(each.documents for each in report.indices)
        self.clean.undecided += sum(each.undecided for each in report.indices)
        found = [check(case) for check in (ours._definitions, ours._queries, ours._templates)]
        return [*report.findings, *(finding for each in found for finding in each)]

    def _offsite(self, case, bucket) -> list[Finding]:
        manifest, taken = self.ground.book.tonights, case.night.taken
        root = root_of(self.ground.name, manifest.repository)
        # Each run is another night: locks are made longer in their turn.
        today = datetime.now(UTC).date() + timedelta(days=case.number)
        terms = CopyTerms(root, today, offsite.LOCK_DAYS, LockMode.GOVERNANCE)
        outcome = copy_blobs(
            FolderBlobs(self.ground.live), bucket, manifest, dict(self.known), terms, tell=self.known.update
        )
        self.clean.copied += outcome.uploaded
        if outcome.manifest is None:
            return outcome.findings
        at = datetime.fromtimestamp(taken.started_at, UTC)
        source = Source(self.ground.name, self.ground.name, self.ground.book.night, at, "9.5.3", {}, self.digests)
        document = describe(source, outcome.catalogue, outcome.manifest)
        put_document(bucket, document, terms)
        return outcome.findings + offsite.proved(case, bucket, document, self.digests)


def clean_runs(place, settings, runs: int, clean: Clean, say) -> None:
    """*runs* nights of tenants that write, one after the other; *clean* has what they came to, however far they came."""
    with ExitStack() as stack:
        ground = stack.enter_context(reached(place, settings))
        tenants = [Tenant(f"{ground.name}-{each.service}"[:40], each.service) for each in largest_tenants(TENANTS)]
        make_tenants(settings, [TenantName(tenant.name) for tenant in tenants])
        seed_documents(settings, tenants, DOCUMENTS)
        ground.queries = SnapshotPolicy().golden_queries
        ground.register(ground.live, ground.name)
        nights, bucket = Nights(ground, tenants, clean), stack.enter_context(open_offsite_bucket(settings))
        with writing(settings, tenants, rate=RATE) as log:
            began = time.time()
            for number in range(runs):
                _one(nights, number, bucket, say)
                clean.writes_per_second = round(_rate(log, began, time.time()), 1)
        seed_documents(settings, tenants, SPEED_DOCUMENTS)
        clean.seconds = nights.speed(runs, stack.enter_context(rivals.elasticdump(ground)))


def _one(nights, number, bucket, say):
    began = time.monotonic()
    try:
        findings = nights.run(number, bucket)
    except StewardError as error:
        findings = [unknown(f"night {number}", str(error))]
    nights.clean.add(findings)
    say(f"clean run {number + 1}: {len(findings)} findings in {time.monotonic() - began:.1f} s {findings[:3]}")
