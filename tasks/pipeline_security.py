"""What is known against a candidate's dependencies, its code and its history: three scans of the commit as it was pushed."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from steward.clients.commands import Ran, clean_environment, run_command
from steward.clients.git_versions import versions_of, write_versions
from steward.clients.scanners import ScannerStopped, VulnerabilitiesAway, audit, check_rules, scan_secrets
from steward.pipeline.manifest import Security
from steward.pipeline.request import Candidate
from steward.pipeline.security import (
    Part,
    assess_rules,
    assess_secrets,
    assess_vulnerabilities,
    join_parts,
    not_checked,
)
from steward.pipeline.security_found import AnswerUnreadable, LockUnreadable, read_lock
from steward.pipeline.stage import StageFound
from steward.settings import Settings
from steward.verdicts import Verdict
from tasks.pipeline_workspace import Workspace

#: A longer text is data, and looking through it takes minutes.
_LARGEST_TEXT_BYTES = 20 * 1024**2
#: Of all versions, on this machine's disk. A first release brings its whole history.
_MOST_TEXT_BYTES = 1024**3


def prove_security(space: Workspace, candidate: Candidate, settings: Settings) -> StageFound:
    """All three, whatever one of them finds.

    Raises VulnerabilitiesAway (transient) where the list of vulnerabilities does not answer, and nothing else refutes.
    """
    told = candidate.manifest.security
    if told is None:
        return StageFound.of(Verdict.UNKNOWN, "pipeline.toml has no table [security]: nothing was proved")
    scans = _Scans(space, candidate, told)
    parts = [_carried_out(scans.rules), _carried_out(scans.secrets)]
    try:
        parts.append(_carried_out(lambda: scans.vulnerabilities(settings.proving.osv_url)))
    except VulnerabilitiesAway as away:
        # Waiting would not change what has been found.
        if all(part.verdict is not Verdict.REFUTED for part in parts):
            raise
        parts.append(not_checked(str(away)))
    return join_parts(parts)


def _carried_out(scan: Callable[[], Part]) -> Part:
    try:
        return scan()
    except ScannerStopped as stopped:
        return not_checked(stopped.message, stopped.tail)
    except (AnswerUnreadable, LockUnreadable) as unreadable:
        return not_checked(str(unreadable))


class _Scans:
    """Of the commit's own files, laid out beside its build: what a build makes is not what was pushed."""

    def __init__(self, space: Workspace, candidate: Candidate, told: Security) -> None:
        self._space, self._candidate, self._told = space, candidate, told
        self._until = time.monotonic() + min(told.seconds, space.most_seconds)
        self._today = datetime.now(UTC).date()
        self._folder = space.folder / "scans"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(parents=True)
        self._tree = self._folder / "tree"
        space.repository.fetch(candidate.commit)
        space.repository.lay_out(candidate.commit, self._tree)
        _remove_links(self._tree)

    def rules(self) -> Part:
        missing = [each for each in self._told.sources if not (self._tree / each).exists()]
        if missing:
            return not_checked(f"the commit has no {', '.join(missing)}, which sources in [security] names")
        return assess_rules(check_rules(self._run, self._tree, self._told.sources, self._folder))

    def secrets(self) -> Part:
        """Of the commit, and of every version that its history since the certified release had in between."""
        repository, before = self._space.repository, self._candidate.certified
        if before:
            repository.fetch(before.commit)
        versions = versions_of(repository.folder, self._candidate.commit, before.commit if before else None)
        files = self._folder / "versions"
        files.mkdir()
        written = write_versions(
            repository.folder, versions, files, most_bytes=_LARGEST_TEXT_BYTES, most_of_all=_MOST_TEXT_BYTES
        )
        return assess_secrets(scan_secrets(self._run, written, self._folder, files), self._told.secrets, self._today)

    def vulnerabilities(self, osv_url: str) -> Part:
        lock = self._tree / self._told.lock
        if not lock.is_file():
            return not_checked(f"the commit has no file {self._told.lock}, which lock in [security] names")
        locked = read_lock(lock.read_text(errors="replace"))
        found = audit(self._run, lock, osv_url, self._folder)
        return assess_vulnerabilities(found, locked, self._told.vulnerabilities, self._today)

    def _run(self, command: Sequence[str], folder: Path) -> Ran:
        left = self._until - time.monotonic()
        if left <= 0:
            return Ran(tuple(command), "timed_out", None, self._told.seconds, "")
        # Not in the home of the repository's commands: what they leave there would be read by these.
        return run_command(
            command,
            folder,
            seconds=left,
            environment=clean_environment(self._folder / "home", {**self._space.variables, "PYTHONNOUSERSITE": "1"}),
            struck=self._space.struck,
        )


def _remove_links(tree: Path) -> None:
    """So that no scanner is led to files of this machine."""
    for path in tree.rglob("*"):
        if path.is_symlink():
            path.unlink()
