"""A candidate's migrations, tried on a database of their own: there, with the release before on it, back, and there again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue

from steward.clients.database_copy import Copies, copies
from steward.clients.postgres import Database
from steward.clients.sample_rows import fill
from steward.clients.schema_dump import read_rows, read_schema
from steward.pipeline.manifest import Command, Migrations
from steward.pipeline.migrations import (
    BASE,
    Schema,
    SeveralHeads,
    TableRows,
    compare_counts,
    compare_rows,
    compare_schemas,
    find_unproved,
    read_revision,
    without_version_table,
)
from steward.pipeline.request import Candidate
from steward.pipeline.stage import StageFound
from steward.settings import Settings
from steward.verdicts import Verdict
from tasks.durable import operation
from tasks.pipeline_build import built
from tasks.pipeline_workspace import Workspace

_HEAD = "head"


class _Settled(Exception):
    """Nothing that comes after can change the verdict."""

    def __init__(self, found: StageFound) -> None:
        super().__init__(found.summary)
        self.found = found


@dataclass(frozen=True)
class _Release:
    """A checkout, and how its migrations are run."""

    folder: Path
    told: Migrations


@dataclass(frozen=True)
class _State:
    """A database at one moment."""

    revision: str
    schema: Schema
    rows: Mapping[str, TableRows]


def prove_migrations(space: Workspace, candidate: Candidate, settings: Settings) -> StageFound:
    """Forward, backward and forward again on a database that is dropped at the end, whatever happens.

    A server that does not answer is DatabaseUnavailable (transient), also in the midst of it: no verdict comes from that.
    """
    told, given = candidate.manifest.migrations, settings.proving.database
    if told is None:
        return StageFound.of(Verdict.UNKNOWN, "pipeline.toml has no table [migrations]: nothing was proved")
    # As built: a repository's own tools, and what they need, may come from its build.
    new = _release(built(space, candidate.commit, candidate.manifest.build), told)
    old = _certified(space, candidate, told)
    if new is None:
        return _without(told, old)
    if given is None:
        return StageFound.of(Verdict.UNKNOWN, "the settings have no [pipeline.database] to try migrations on")
    database = Database("pipeline.database", "", given.url, given.password, settings.vault)
    with copies(database, operation().id, operation().token) as held:
        try:
            found = _Trial(space, held, new, old).run()
        except _Settled as end:
            found = end.found
        # What was found while the server was away is of the server, not of the migrations.
        held.ensure_held()
        return found


def _release(folder: Path, told: Migrations) -> _Release | None:
    return _Release(folder, told) if (folder / told.folder).is_dir() else None


def _certified(space: Workspace, candidate: Candidate, told: Migrations) -> _Release | None:
    """The release before, by its own word on how it is migrated, or the candidate's where it has none."""
    before = candidate.certified
    if before is None:
        return None
    manifest = before.manifest
    folder = built(space, before.commit, manifest.build) if manifest else space.checkout(before.commit)
    own = manifest.migrations if manifest else None
    return _release(folder, own or told.model_copy(update={"seed": None, "compatible_command": None}))


def _without(told: Migrations, old: _Release | None) -> StageFound:
    if old is None:
        return StageFound.of(Verdict.VERIFIED, f"no migrations: there is no folder {told.folder}")
    missing = f"the folder {told.folder} is gone, which the certified release has"
    return StageFound.of(Verdict.REFUTED, missing, findings=[missing])


class _Trial:
    """One way through. `run` reads as what is proved."""

    def __init__(self, space: Workspace, held: Copies, new: _Release, old: _Release | None) -> None:
        self._space = replace(space, struck=(*space.struck, *held.secrets))
        self._held, self._new, self._old = held, new, old
        self._until = time.monotonic() + min(new.told.seconds, space.most_seconds)
        self._name = held.create("trial", seconds=self._left)
        self._findings: list[str] = []

    def run(self) -> StageFound:
        """Raises _Settled as soon as a command says that it does not work."""
        before = self._laid()
        self._migrate("upgrade", self._new, _HEAD)
        ahead = self._state(self._revision(self._new))
        if (ahead.revision, ahead.schema) == (before.revision, before.schema):
            return self._found(before, ahead, "no migration that the certified release has not")
        self._findings += compare_counts(before.rows, ahead.rows, "forward")
        self._run_old_on_new()
        self._migrate("downgrade", self._new, before.revision)
        back = self._state(before.revision)
        self._findings += _compare_back(before, back, from_empty=self._old is None)
        self._migrate("upgrade again", self._new, _HEAD)
        self._findings += compare_schemas(ahead.schema, self._state(ahead.revision).schema, "forward again")
        return self._found(before, ahead, "forward, backward and forward again")

    def _laid(self) -> _State:
        """As the certified release leaves it, with rows; empty without one."""
        if self._old is None:
            return self._state(BASE)
        self._migrate("upgrade of the certified release", self._old, _HEAD, blame=Verdict.UNKNOWN)
        if self._old.told.seed:
            self._command("seed", self._old.told.seed, self._old, blame=Verdict.UNKNOWN)
        with self._held.connected(self._name) as db:
            fill(db)
        return self._state(self._revision(self._old))

    def _run_old_on_new(self) -> None:
        """The certified release's own tests, on a copy: what they write is none of the way back's business."""
        command = self._old.told.compatible_command if self._old else None
        if self._old is None or command is None:
            return
        name = self._held.create("compatible", seconds=self._left, template=self._name)
        self._command("the release before on the new schema", command, self._old, name=name)

    def _state(self, revision: str) -> _State:
        with self._held.connected(self._name) as db:
            return _State(revision, read_schema(db), read_rows(db))

    def _revision(self, release: _Release) -> str:
        said = self._command("current", release.told.current, release, blame=Verdict.UNKNOWN)
        try:
            return read_revision(said)
        except SeveralHeads as several:
            # Of the certified release it is nothing that the candidate did.
            raise self._settled(Verdict.REFUTED if release is self._new else Verdict.UNKNOWN, several.message) from None

    def _migrate(self, what: str, release: _Release, revision: str, blame: Verdict = Verdict.REFUTED) -> None:
        command = release.told.downgrade if what == "downgrade" else release.told.upgrade
        self._command(what, command, release, revision=revision, blame=blame)

    def _command(
        self,
        what: str,
        command: Command,
        release: _Release,
        *,
        name: str = "",
        revision: str = "",
        blame: Verdict = Verdict.REFUTED,
    ) -> str:
        """What it said. One that says no settles the verdict as *blame*; one that was ended, or is missing, as UNKNOWN."""
        words = tuple(word.replace("{revision}", revision) for word in command)
        told = {"DATABASE_URL": self._held.url(name or self._name), "REVISION": revision}
        ran = self._space.run(words, release.folder, self._left, told)
        if not ran.is_green:
            verdict = blame if ran.end == "exited" else Verdict.UNKNOWN
            says = f"{what}{f' to {revision}' if revision else ''}: {ran.how}"
            raise self._settled(verdict, says, ran.tail)
        return ran.output

    def _settled(self, verdict: Verdict, says: str, tail: str = "") -> _Settled:
        """With what was found before: a way that breaks off takes nothing back."""
        findings = [*self._findings, says]
        verdict = Verdict.REFUTED if self._findings else verdict
        return _Settled(StageFound.of(verdict, "; ".join(findings), findings=findings, tail=tail))

    @property
    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            allowed = min(self._new.told.seconds, self._space.most_seconds)
            raise self._settled(Verdict.UNKNOWN, f"not done in {allowed:.0f} s")
        return left

    def _found(self, before: _State, ahead: _State, says: str) -> StageFound:
        findings, doubts = self._findings, self._doubts(before, ahead)
        figures = _figures(before, ahead)
        verdict = Verdict.REFUTED if findings else Verdict.UNKNOWN if doubts else Verdict.VERIFIED
        outcome = findings[0] if findings else doubts[0] if doubts else "nothing lost, nothing left over"
        summary = (
            f"{says}: {outcome}; {before.revision} to {ahead.revision}, {figures['objects_changed']} objects changed, "
            f"{figures['rows']:,} rows in {figures['tables_with_rows']} of {figures['tables']} tables"
        )
        return StageFound.of(verdict, summary, figures=figures, findings=findings + doubts)

    def _doubts(self, before: _State, ahead: _State) -> list[str]:
        """What nobody has seen, though it changed: it is no proof that it is well."""
        if self._old is None or before.schema == ahead.schema:
            return []
        empty = find_unproved(before.schema, ahead.schema, before.rows)
        doubts = [f"{table} is changed and had no row to lose: name a seed in [migrations]" for table in empty]
        if self._old.told.compatible_command is None:
            doubts.append(
                "the certified release names no compatible_command: whether it runs on the new schema is unknown"
            )
        return doubts


def _compare_back(before: _State, back: _State, *, from_empty: bool) -> list[str]:
    was, now = before.schema, back.schema
    if from_empty:
        # Where Alembic keeps the revision stays, empty.
        was, now = without_version_table(was), without_version_table(now)
    return compare_schemas(was, now, "backward") + compare_rows(before.rows, back.rows, "backward")


def _figures(before: _State, ahead: _State) -> dict[str, JsonValue]:
    counts = [each.number for each in before.rows.values()]
    return {
        "revision_before": before.revision,
        "revision_after": ahead.revision,
        "objects_changed": len(compare_schemas(before.schema, ahead.schema, "")),
        "tables": len(counts),
        "tables_with_rows": sum(number > 0 for number in counts),
        "rows": sum(counts),
    }
