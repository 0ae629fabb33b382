"""Commits of somebody else's repository, by the git program: fetched, read and laid out, and nothing of them obeyed.

No hooks, no configuration of the machine's, the user's or the repository's, no submodules, no prompts. Code of the
repository is not run by any of this.
"""

from __future__ import annotations

import base64
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from steward.clients.commands import PATH, Ran, remove_tree, run_command
from steward.clients.secrets import read_secret
from steward.errors import BadInput
from steward.pipeline.errors import GitMissing, GitRefused, NoSuchCommit, RepositoryAway
from steward.pipeline.stage import short
from steward.settings import PipelineRepository, Vault

#: A first fetch of a large repository over a slow line.
_FETCH_SECONDS = 900.0
_LOCAL_SECONDS = 120.0
#: What git says of a commit that is not there; of everything else that keeps it from fetching, waiting may cure.
_NOT_THERE = re.compile(r"not our ref|unadvertised object|couldn't find remote ref|no such remote ref|bad object")
_REFUSED = re.compile(
    r"Authentication failed|could not read Username|Permission denied|not found|does not exist|dubious ownership"
    r"|not appear to be a git repository|protocol .* not allowed"
)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.protectNTFS": "true",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "transfer.fsckObjects": "true",
    "advice.detachedHead": "false",
}


def require_git() -> None:
    """Raises GitMissing."""
    if shutil.which("git", path=PATH) is None:
        raise GitMissing(
            f"there is no program git in {PATH}",
            hint="let a build machine take this run: Steward's own image is none; docs/ci.md, A build machine",
        )


@dataclass(frozen=True)
class Repository:
    """A bare repository in a folder of its own, and where it fetches from."""

    folder: Path
    told: PipelineRepository
    vault: Vault | None

    def fetch(self, commit: str) -> None:
        """*commit* and its history, if they are not there yet. Raises NoSuchCommit, RepositoryAway, GitRefused, GitMissing."""
        if not self.folder.is_dir():
            self._make()
        if self.has(commit):
            return
        token = read_secret(self.told.token, self.vault) if self.told.token else ""
        # Twice the words, for `--` ends the options: no address is one.
        ran = self._git("fetch", "--quiet", "--no-tags", "--", self.told.url, commit, token=token)
        if not ran.is_green:
            self._refuse(ran, commit)
        if not self.has(commit):
            raise NoSuchCommit(f"{commit} is no commit of {self.told.url}", hint="give the commit's 40 digits")

    def has(self, commit: str) -> bool:
        """Whether it is there already, as a commit."""
        return self._git("cat-file", "-e", f"{_whole(commit)}^{{commit}}").is_green

    def tree(self, commit: str) -> str:
        """The digest of all that *commit* holds."""
        return self._said("rev-parse", "--verify", f"{_whole(commit)}^{{tree}}").strip()

    def read(self, commit: str, path: str) -> bytes | None:
        """One file of *commit*; None: it has no such file."""
        ran = self._git("cat-file", "blob", f"{_whole(commit)}:{path}")
        return ran.output.encode() if ran.is_green else None

    def lay_out(self, commit: str, folder: Path) -> None:
        """All files of *commit* in *folder*, whole or not at all; without `.git`, so that no command finds another's."""
        beside = folder.with_name(f"{folder.name}.new")
        remove_tree(beside)
        beside.mkdir(mode=0o700, parents=True)
        index = {"GIT_INDEX_FILE": str(beside.with_name(f"{folder.name}.index"))}
        self._said("read-tree", _whole(commit), more=index)
        self._said(f"--work-tree={beside}", "checkout-index", "--all", "--force", more=index)
        remove_tree(folder)
        beside.rename(folder)

    def _make(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True)
        self._said("init", "--quiet", "--bare", "--template=")

    def _said(self, *words: str, more: dict[str, str] | None = None) -> str:
        ran = self._git(*words, more=more)
        if not ran.is_green:
            raise GitRefused(f"git {words[0]}: {ran.how}: {short(ran.tail, 300)}", hint="see the repository's folder")
        return ran.output

    def _git(self, *words: str, token: str = "", more: dict[str, str] | None = None) -> Ran:
        # Without it nothing would be there: no commit, no file.
        require_git()
        header = _basic(token) if token else ""
        return run_command(
            ["git", f"--git-dir={self.folder}", *words],
            self.folder.parent if not self.folder.is_dir() else self.folder,
            seconds=_FETCH_SECONDS if words[0] == "fetch" else _LOCAL_SECONDS,
            environment=_environment(self.folder, header) | (more or {}),
            struck=[token, header.rpartition(" ")[2]],
        )

    def _refuse(self, ran: Ran, commit: str) -> NoReturn:
        where, said = self.told.url, short(ran.tail, 300)
        if _NOT_THERE.search(ran.output):
            raise NoSuchCommit(f"{where} has no commit {commit}", hint="was it pushed? give the commit's 40 digits")
        if _REFUSED.search(ran.output):
            raise GitRefused(
                f"{where} cannot be fetched from: {said}", hint="see url and token in [pipeline] and its owner"
            )
        raise RepositoryAway(
            f"{where} cannot be fetched from now: {ran.how}: {said}", hint="see whether it is reachable"
        )


def _whole(commit: str) -> str:
    if not _COMMIT.fullmatch(commit):
        raise BadInput(f"{commit[:80]!r} is no commit", hint="give the commit's 40 digits")
    return commit


def _basic(token: str) -> str:
    return f"Authorization: Basic {base64.b64encode(f'x-access-token:{token}'.encode()).decode()}"


def _environment(folder: Path, header: str) -> dict[str, str]:
    """Settings, and the token, in the environment: arguments are for everybody on the machine to see."""
    settings = _SETTINGS | ({"http.extraHeader": header} if header else {})
    told = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings.items()):
        told |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return told | {
        "PATH": PATH,
        "HOME": str(folder.parent),
        "LANG": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "https:ssh:file",
        "GIT_SSH_COMMAND": "ssh -oBatchMode=yes",
        "GIT_NO_REPLACE_OBJECTS": "1",
    }
