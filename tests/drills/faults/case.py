"""One case: what it stands on, is damaged, restored, and judged by everybody."""

import random
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from steward.errors import StewardError
from steward.repository import layout
from steward.repository.closure import Closure
from steward.snapshots.findings import Finding
from steward.snapshots.restoring import Restored, restore
from steward.verdicts import Verdict
from tests.drills.faults import offsite, ours, rivals
from tests.drills.faults.ground import Ground, Hand, Night
from tests.drills.faults.kinds import Kind, Right, Where
from tests.unit.blob_ground import Book


@dataclass
class Case:
    """A kind of damage, drawn by a seed."""

    ground: Ground
    kind: Kind
    number: int
    seed: int
    notes: list[str] = field(default_factory=list)
    night: Night = None
    restored: Restored | None = None
    said: str | None = None
    """Why there was no restore."""
    book: Book = None
    """The record as tonight's check has left it."""
    copy: offsite.Copy | None = None
    """Off site, where that is damaged. What is restored is then what anybody fetches from there."""
    not_taken: str | None = None
    """Why there is no snapshot."""
    closure: Closure = None
    """Of the night's snapshot before it was damaged."""

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.seed} {self.kind.name}")
        self.night = self.ground.night

    @property
    def repository(self) -> str:
        """By which the scratch cluster knows what this case restores from."""
        return f"{self.ground.name}-{self.number}"

    @property
    def prefix(self) -> str:
        return f"proof-{self.ground.name}-{self.number}-"

    @property
    def hand(self) -> Hand:
        return self.ground.there

    @property
    def folder(self) -> Path:
        return self.ground.folder / f"case-{self.number}"

    @property
    def catalogue(self) -> layout.Catalogue:
        return self.closure.catalogue

    @property
    def catalogue_path(self) -> str:
        return layout.catalogue_path(self.closure.generation)

    def copy_of(self, index: str) -> str:
        return self.prefix + index

    def attempt(self, take) -> None:
        """What cannot be taken leaves a word, and no snapshot."""
        try:
            self.night = take()
        except StewardError as error:
            self.not_taken = str(error)

    def note(self, words: str) -> None:
        """What chance has drawn."""
        self.notes.append(words)


@dataclass
class Judged:
    """What became of a case."""

    case: Case
    named: tuple[str, ...]
    """One of these has to be named by what refutes."""
    rivals: dict[str, str | None]
    found: dict[str, list[Finding]]
    """By the check that found it."""

    @cached_property
    def findings(self) -> list[Finding]:
        return [finding for each in self.found.values() for finding in each]

    @property
    def verdict(self) -> Verdict:
        verdicts = {finding.verdict for finding in self.findings}
        return next((each for each in (Verdict.REFUTED, Verdict.UNKNOWN) if each in verdicts), Verdict.VERIFIED)

    @property
    def is_right(self) -> bool:
        right = self.case.kind.right
        return self.verdict is (Verdict.VERIFIED if right is Right.WITHSTOOD else Verdict(right.value))

    @property
    def is_named(self) -> bool:
        telling = [f"{finding} " for finding in self.findings if finding.verdict is self.verdict]
        return self.case.kind.right is Right.WITHSTOOD or any(name in text for name in self.named for text in telling)

    @property
    def is_detected(self) -> bool:
        return self.is_right and self.is_named

    @property
    def told(self) -> list[str]:
        """Everything, for whoever is to find out why not."""
        asked = [f"{name}: {said}" for name, said in self.rivals.items() if said]
        return [f"{self.verdict}", *map(str, self.findings), *asked]

    @property
    def by(self) -> list[str]:
        """The checks that came to the verdict."""
        return [name for name, each in self.found.items() if any(finding.verdict is self.verdict for finding in each)]

    def __str__(self) -> str:
        first = next((finding for finding in self.findings if finding.verdict is self.verdict), None)
        others = ", ".join(name for name, said in self.rivals.items() if said)
        return f"{self.case.kind}: {self.verdict} by {', '.join(self.by) or 'nothing'} ({first}); rivals: {others or 'none'}"


def conduct(case: Case, tools) -> Judged:
    """Damage it, ask everybody, clear it away. *tools*: rivals to be asked, of which there may be none."""
    # What a night takes otherwise has to be in the repository before that is cloned.
    named = case.kind.damage(case) if case.kind.where is Where.NIGHT else ()
    with _laid(case):
        if case.kind.where in {Where.REPOSITORY, Where.OFFSITE}:
            named = case.kind.damage(case)
        with _registered(case):
            _restore(case)
            if case.kind.where is Where.COPY:
                named = case.kind.damage(case)
            # A copy never refreshes by itself; what was done to it shall show to everybody.
            _refresh(case)
            told = {name: ask(case) for name, ask in _asked(case, tools)}
            return Judged(case, named, told, ours.judge(case))


@contextmanager
def _laid(case):
    """What is damaged: a clone of the repository, or also a copy of it off site, which is the case's own."""
    case.closure = case.ground.closure(case.ground.live, case.night.taken.uuid)
    shutil.copytree(case.ground.live, case.folder)
    try:
        if case.kind.where is not Where.OFFSITE:
            yield
            return
        with offsite.open_offsite_bucket(case.ground.settings) as bucket:
            case.copy = offsite.copied(case, bucket)
            yield
    finally:
        shutil.rmtree(case.folder)


@contextmanager
def _registered(case):
    """What the scratch cluster restores from; on leaving neither that nor a copy is left there."""
    folder = case.folder
    if case.copy:
        folder = case.ground.folder / f"fetched-{case.number}"
        case.said = offsite.downloaded(case.copy, folder)
    case.ground.register(folder, case.repository)
    try:
        yield
    finally:
        for copy in case.hand.ask("GET", f"/{case.prefix}*?expand_wildcards=all&filter_path=*.settings.index.uuid"):
            case.hand.ask("DELETE", f"/{copy}", ok=(404,))
        case.ground.unregister(case.repository)


def _refresh(case):
    health = case.hand.ask("GET", f"/_cluster/health/{case.prefix}*?level=indices&expand_wildcards=all")["indices"]
    # One that lacks a primary would be waited for, a minute.
    for copy in (name for name, each in health.items() if each["status"] != "red"):
        case.hand.ask("POST", f"/{copy}/_refresh")


def _restore(case):
    if case.said:
        return
    try:
        case.restored = restore(
            case.ground.scratch, case.repository, case.night.taken.name, case.ground.indices, case.prefix
        )
    except StewardError as error:
        case.said = str(error)


def _asked(case, tools):
    yield "restore alone", restored
    yield "counts", rivals.counted
    if tools:
        curator, elasticdump = tools
        yield "Curator", lambda case: curator.found(case, restores=case.kind.where in {Where.REPOSITORY, Where.OFFSITE})
        yield "elasticdump", elasticdump.found


def restored(case) -> str | None:
    """What Elasticsearch's own answer says against the restore."""
    if case.said is not None:
        return case.said
    wrong = [f"{each.index}[{each.shard}]: {each.reason}" for each in case.restored.failed]
    return "; ".join([*wrong, *case.restored.missing]) or None
