"""Where the shop's code is pushed to: a bare repository whose hook tells the receiver, and one person's clone of it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from demo.shop import repository
from replica.state import checkout

NAME, BRANCH = "shop", "main"
HOOK = Path("deployments") / "webhooks" / "post-receive"


@dataclass(frozen=True)
class Origin:
    """Both lie in *folder*."""

    folder: Path

    @property
    def bare(self) -> Path:
        """What the pipeline fetches from."""
        return self.folder / "shop.git"

    @property
    def clone(self) -> Path:
        """Where somebody works."""
        return self.folder / "shop"

    def push(self, name: str, changed: Mapping[str, str], *options: str) -> str:
        """Commit *changed*, files by their paths, and push: the commit. *options* as the hook takes them."""
        for path, text in changed.items():
            (self.clone / path).parent.mkdir(parents=True, exist_ok=True)
            (self.clone / path).write_text(text)
        # Or a demo that is played again would push the commits of the one before.
        (self.clone / "pushed.txt").write_text(f"{datetime.now(UTC).isoformat()}\n")
        repository.git(self.clone, "add", "--all")
        repository.git(self.clone, "commit", "--quiet", "--message", name)
        asked = [f"--push-option={each}" for each in options]
        repository.git(self.clone, "push", "--quiet", *asked, "origin", BRANCH)
        return repository.git(self.clone, "rev-parse", "HEAD")

    def take_back(self) -> None:
        """The last commit, in the clone: with the next push."""
        repository.git(self.clone, "revert", "--no-edit", "HEAD")


def make(folder: Path, settings: Path) -> Origin:
    """Anew, with what users have on its branch: that came there before anybody listened."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    origin = Origin(folder)
    repository.make(origin.clone)
    repository.git(origin.clone, "checkout", "--quiet", "-B", BRANCH)
    repository.git(folder, "init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(origin.bare))
    repository.git(origin.clone, "remote", "add", "origin", str(origin.bare))
    repository.git(origin.clone, "push", "--quiet", "origin", BRANCH)
    _tell(origin, settings)
    return origin


def _tell(origin: Origin, settings: Path) -> None:
    """As the hook's first lines say."""
    shutil.copy(checkout() / HOOK, origin.bare / "hooks")
    told = {"repository": NAME, "settings": str(settings), "python": sys.executable}
    for key, value in told.items():
        repository.git(origin.bare, "config", f"steward.{key}", value)
    repository.git(origin.bare, "config", "receive.advertisePushOptions", "true")
