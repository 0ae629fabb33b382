"""What made a statement: which code, on what kind of machine. What cannot be known is null, never a guess."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

PACKAGE = Path(__file__).resolve().parents[1]
GIT_TIMEOUT_SECONDS = 5


class CodeVersion(BaseModel):
    """The code that measured: package version, and the commit where it is known.

    `modified` is True when the work tree holds anything that the commit does not, untracked files included; None when
    nobody can tell (an installed wheel).
    """

    model_config = ConfigDict(frozen=True)

    version: str
    commit: str | None = None
    modified: bool | None = None


# The code of a process does not change while it runs; asking git costs about 20 ms.
@cache
def code_version(package: Path = PACKAGE) -> CodeVersion:
    """The version of the code in *package*: from its git work tree, else from what its installer recorded."""
    version = metadata.version("steward")
    # Only where git tracks this very file: a virtual environment may lie inside somebody else's work tree.
    if _git(package, "ls-files", "--error-unmatch", "__init__.py") is None:
        return CodeVersion(version=version, commit=_installed_commit())
    changes = _git(package, "status", "--porcelain", "--untracked-files=normal", ":/")
    modified = None if changes is None else bool(changes)
    return CodeVersion(version=version, commit=_git(package, "rev-parse", "HEAD"), modified=modified)


@cache
def host_class() -> str:
    """The kind of machine, never its name: system, processor, number of CPUs, memory, Python."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs, {round(memory / 2**30)} GiB, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def _git(folder: Path, *arguments: str) -> str | None:
    # A hook's GIT_DIR would point at another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=GIT_TIMEOUT_SECONDS,
            check=False,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _installed_commit() -> str | None:
    """The commit that pip recorded when it installed from a repository (PEP 610)."""
    recorded = metadata.distribution("steward").read_text("direct_url.json")
    commit = json.loads(recorded or "{}").get("vcs_info", {}).get("commit_id")
    return commit if isinstance(commit, str) else None
