"""The gate of the build: one artifact from one commit, kept by its content."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from steward.clients.commands import remove_tree
from steward.clients.s3 import open_evidence_bucket
from steward.errors import StewardError
from steward.pipeline.errors import ArtifactLost
from steward.pipeline.manifest import Build
from steward.pipeline.request import Artifact, Candidate
from steward.pipeline.stage import StageFound
from steward.settings import Settings
from steward.verdicts import Verdict
from tasks.pipeline_workspace import Workspace


class NotBuilt(StewardError):
    """A commit that was built once, and cannot be built here."""


def build(work: Workspace, candidate: Candidate, settings: Settings) -> tuple[StageFound, Artifact | None]:
    """In a checkout that nobody has touched. REFUTED: the command failed, or made another number of artifacts than one."""
    told = candidate.manifest.build
    # An attempt that was ended half-way may have left anything.
    _marker(work, candidate.commit).unlink(missing_ok=True)
    remove_tree(work.folder / candidate.commit)
    folder = work.checkout(candidate.commit)
    ran = work.run(told.command, folder, told.seconds, {"COMMIT": candidate.commit})
    if not ran.is_green:
        verdict = Verdict.REFUTED if ran.end == "exited" else Verdict.UNKNOWN
        return StageFound.of(verdict, ran.how, tail=ran.tail), None
    found = artifacts(folder, told.artifact)
    if len(found) != 1:
        names = [str(each.relative_to(folder)) for each in found]
        summary = f"{told.artifact} fits {len(found)} files, expected exactly one"
        return StageFound.of(Verdict.REFUTED, summary, findings=names, tail=ran.tail), None
    if (size := found[0].stat().st_size) > settings.proving.most_artifact_bytes:
        summary = f"the artifact has {size:,} bytes, {settings.proving.most_artifact_bytes:,} are allowed"
        return StageFound.of(Verdict.REFUTED, summary), None
    artifact = _keep(settings, found[0], folder)
    _marker(work, candidate.commit).touch()
    summary = f"{artifact.file}: {artifact.bytes:,} bytes, SHA-256 {artifact.sha256}, tree {candidate.tree}"
    return StageFound.of(Verdict.VERIFIED, summary, figures={"bytes": artifact.bytes}), artifact


def built(work: Workspace, commit: str, told: Build) -> Path:
    """The checkout of *commit* as its build left it. Raises NotBuilt.

    It is built here where that is missing: of the certified release, or since another machine goes on with the
    operation. What is kept of a candidate stays what it was.
    """
    folder, marker = work.checkout(commit), _marker(work, commit)
    if not marker.exists():
        ran = work.run(told.command, folder, told.seconds, {"COMMIT": commit})
        if not ran.is_green:
            raise NotBuilt(f"commit {commit} was built once, and is not built here: {ran.how}", hint="see its build")
        marker.touch()
    return folder


def artifacts(folder: Path, pattern: str) -> list[Path]:
    """Files of the checkout that fit. What is elsewhere behind a link is not of it."""
    return sorted(
        path
        for path in folder.glob(pattern)
        if path.is_file() and not path.is_symlink() and path.resolve().is_relative_to(folder.resolve())
    )


def read_artifact(settings: Settings, artifact: Artifact) -> bytes:
    """What was built and proved. Raises ArtifactLost where the store has something else, and what the store raises."""
    with open_evidence_bucket(settings) as bucket:
        body = bucket.get(artifact.key).body
    _require_same(body, artifact)
    return body


def _marker(work: Workspace, commit: str) -> Path:
    return work.folder / f"{commit}.built"


def _keep(settings: Settings, path: Path, folder: Path) -> Artifact:
    body = path.read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    artifact = Artifact(file=str(path.relative_to(folder)), sha256=digest, bytes=len(body))
    until = datetime.now(UTC) + timedelta(days=settings.proving.artifact_days)
    with open_evidence_bucket(settings) as bucket:
        stored = bucket.put_once(artifact.key, body, locked_until=until, content_type="application/octet-stream")
    _require_same(stored.body, artifact)
    return artifact


def _require_same(body: bytes, artifact: Artifact) -> None:
    digest = hashlib.sha256(body).hexdigest()
    if digest != artifact.sha256:
        raise ArtifactLost(
            f"the object store has SHA-256 {digest} under {artifact.key}", hint="somebody wrote it first; build anew"
        )
