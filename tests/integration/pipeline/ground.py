"""Tiny real git repositories, and a candidate's workspace, for stages of the pipeline."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime
from pathlib import Path

from steward.clients.git import Repository
from steward.pipeline.manifest import Manifest
from steward.pipeline.request import Candidate, CandidateRequest, Certified
from steward.settings import PipelineRepository
from tasks.pipeline_workspace import Workspace

BUILD = {"format": "steward-pipeline-v1", "build": {"command": ["true"], "artifact": "x"}}


class Sources:
    """A repository that commits are made in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._git("init", "--quiet", "--initial-branch=main")
        self._git("config", "user.name", "Nobody")
        self._git("config", "user.email", "nobody@example.org")

    def commit(self, files: dict[str, str | None]) -> str:
        """These files in place of what they were (None: away), as one commit; its 40 digits."""
        for name, text in files.items():
            path = self.folder / name
            if text is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--allow-empty", "--message=change")
        return self._git("rev-parse", "HEAD").strip()

    def back_to(self, commit: str) -> None:
        self._git("reset", "--quiet", "--hard", commit)

    def _git(self, *words: str) -> str:
        return subprocess.run(["git", *words], cwd=self.folder, check=True, capture_output=True, text=True).stdout


def space(folder: Path, sources: Sources) -> Workspace:
    """As `tasks.pipeline_workspace.workspace` gives it."""
    folder.mkdir(exist_ok=True)
    told = PipelineRepository(url=str(sources.folder), flag="any")
    return Workspace(folder, Repository(folder / "repository.git", told, None), 600, {}, ())


def candidate(
    commit: str, table: dict[str, object], *, certified: str = "", certified_table: dict[str, object] | None = None
) -> Candidate:
    """*commit* with these tables in its pipeline.toml; what is certified has its own, or the same."""
    before = Manifest.model_validate(BUILD | (table if certified_table is None else certified_table))
    return Candidate(
        request=CandidateRequest(repository="any", commit=commit, first=not certified),
        release=commit[:12],
        commit=commit,
        tree="0" * 40,
        environment="production",
        flag="any",
        manifest=Manifest.model_validate(BUILD | table),
        certified=Certified(release=certified[:12], commit=certified, manifest=before) if certified else None,
        begun_at=datetime.now(UTC),
    )
