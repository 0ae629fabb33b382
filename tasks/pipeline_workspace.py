"""Where a release candidate is built: a folder of the operation's own, made anew wherever it is missing."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from steward.clients.commands import Ran, clean_environment, remove_tree, run_command
from steward.clients.git import Repository
from steward.clients.secrets import read_secret
from steward.errors import BadInput, StewardError, Unavailable
from steward.pipeline.errors import UnknownRepository
from steward.pipeline.manifest import Command
from steward.settings import GitHubApi, GitHubSource, PipelineRepository, Settings
from steward.settings.references import references_in
from tasks.durable import operation

#: For an attempt that was killed: the system frees its lock at once, whatever it ran is gone a moment later.
_LOCK_SECONDS = 30.0
_POLL_SECONDS = 0.2
#: Of an operation that nobody took up again.
_LEFT_OVER_SECONDS = 7 * 24 * 3600.0
#: A line of a key: a shorter one may be a word of anybody's.
_SHORTEST_LINE = 16


class WorkspaceBusy(Unavailable):
    """Another process is at work in this operation's folder."""


@dataclass(frozen=True)
class Workspace:
    """An operation's folder, held by this process."""

    folder: Path
    repository: Repository
    most_seconds: float
    variables: dict[str, str]
    struck: tuple[str, ...]
    """Secrets of the settings: none of them is to stand in what a command says."""

    def checkout(self, commit: str) -> Path:
        """All files of *commit*, in a folder of its own; as an earlier stage left it, if it is there."""
        folder = self.folder / commit
        if not folder.is_dir():
            self.repository.fetch(commit)
            self.repository.lay_out(commit, folder)
        return folder

    def run(self, command: Command, folder: Path, seconds: float, more: dict[str, str] | None = None) -> Ran:
        """*command* in a checkout, in a clean environment; *seconds* as the repository says, bounded by the settings."""
        return run_command(
            command,
            folder,
            seconds=min(seconds, self.most_seconds),
            environment=self.environment(more),
            struck=self.struck,
        )

    def environment(self, more: dict[str, str] | None = None) -> dict[str, str]:
        """All that a command of the repository is told."""
        return clean_environment(self.folder / "home", {**self.variables, **(more or {})})


def repository_of(settings: Settings, name: str) -> PipelineRepository:
    """Raises UnknownRepository, which names the ones there are."""
    known = settings.proving.repositories
    if name not in known:
        raise UnknownRepository(
            f"unknown repository {name!r}; known: {', '.join(sorted(known)) or 'none'}",
            hint=f"add [pipeline.repositories.{name}] to the settings, or use one of the known names",
        )
    return known[name]


def github_of(settings: Settings, repository: str) -> GitHubApi | None:
    """Where its proved releases become deployments; None: nowhere. BadInput where the settings name a source that has no API."""
    name = repository_of(settings, repository).github
    if name is None:
        return None
    source = settings.webhooks.sources.get(name) if settings.webhooks else None
    if isinstance(source, GitHubSource) and source.api:
        return source.api
    raise BadInput(
        f"[pipeline.repositories.{repository}] names the source {name} of webhooks, which has no GitHub API",
        hint=f"add [webhooks.sources.{name}.api] to the settings, of kind github; docs/settings.md",
    )


@contextmanager
def workspace(settings: Settings, repository: str) -> Generator[Workspace]:
    """This operation's folder. Raises WorkspaceBusy where an earlier attempt is still at work in it."""
    told, root = repository_of(settings, repository), settings.proving.folder
    folder = root / str(operation().id)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write to {root}: {error.strerror}", hint="see folder in [pipeline]") from None
    with _held(root / f"{folder.name}.lock", _LOCK_SECONDS):
        yield Workspace(
            folder,
            Repository(folder / "repository.git", told, settings.vault),
            settings.proving.most_seconds,
            dict(told.variables),
            secrets_of(settings),
        )


def remove_workspace(settings: Settings) -> None:
    """All of it, and what operations left behind that nobody took up again."""
    root = settings.proving.folder
    if (mine := root / f"{operation().id}.lock").exists():
        _remove(mine, _LOCK_SECONDS)
    for lock in root.glob("*.lock"):
        # Gone meanwhile, or somebody is at work there after all: then it is not ours to remove.
        with suppress(FileNotFoundError, WorkspaceBusy):
            if time.time() - lock.stat().st_mtime > _LEFT_OVER_SECONDS:
                _remove(lock, 0)


def _remove(lock: Path, patience_seconds: float) -> None:
    with _held(lock, patience_seconds):
        remove_tree(lock.with_suffix(""))
        lock.unlink(missing_ok=True)


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """All that the settings refer to, and each long line of them. One that cannot be read cannot be told, either."""
    found = set[str]()
    for _, reference in references_in(settings):
        try:
            secret = read_secret(reference, settings.vault)
        except Unavailable:
            raise
        except StewardError:
            continue
        found |= {secret, *(line for line in secret.splitlines() if len(line) >= _SHORTEST_LINE)}
    return tuple(sorted(found))


@contextmanager
def _held(lock: Path, patience_seconds: float) -> Generator[None]:
    with os.fdopen(os.open(lock, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        until = time.monotonic() + patience_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise WorkspaceBusy(
                        f"another process is at work under {lock}", hint="an earlier attempt that is stopped? end it"
                    ) from None
                time.sleep(_POLL_SECONDS)
        os.utime(lock)
        yield
