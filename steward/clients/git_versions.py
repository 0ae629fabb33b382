"""Versions of files in a bare repository, by their content: of one commit, and of all commits since another."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from steward.clients.commands import PATH
from steward.pipeline.errors import GitRefused

_SECONDS = 300
# The repository is the pipeline's own and bare: there is no configuration but this, and no work tree.
_ENVIRONMENT = {
    "PATH": PATH,
    "HOME": "/nonexistent",
    "LANG": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_NO_REPLACE_OBJECTS": "1",
}
_MODULE = "160000"
#: As git itself tells text from what is none: by a NUL among the first bytes.
_LOOKED_AT = 8000
_PIECE = 1024**2


class Version(NamedTuple):
    """One content that a file has, or had."""

    blob: str
    path: str
    in_tree: bool


class Written(NamedTuple):
    """Which versions are files now, by the path below the folder; and which are none, since they are no text or too much."""

    files: dict[str, Version]
    binary: tuple[Version, ...]
    too_large: tuple[Version, ...]


def versions_of(repository: Path, commit: str, since: str | None) -> list[Version]:
    """Every content in *commit*, then every other that its history since *since* has (None: all of it). Raises GitRefused."""
    found = {blob: Version(blob, path, in_tree=True) for blob, path in reversed(_tree(repository, commit))}
    for blob, path in _added(repository, commit, since):
        found.setdefault(blob, Version(blob, path, in_tree=False))
    return sorted(found.values(), key=lambda version: (not version.in_tree, version.path, version.blob))


def write_versions(
    repository: Path, versions: Sequence[Version], folder: Path, *, most_bytes: int, most_of_all: int
) -> Written:
    """Each text among *versions* as a file below *folder*, in a folder of its own, under its last name. Raises GitRefused.

    A link is written as what it says: nobody is led out of *folder* by it. Nothing is written beyond *most_bytes* of one,
    or *most_of_all* of them together.
    """
    files, binary, too_large, left = dict[str, Version](), list[Version](), list[Version](), most_of_all
    command = ["git", f"--git-dir={repository}", "cat-file", "--batch"]
    with subprocess.Popen(command, env=_ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as git:
        assert git.stdin  # noqa: S101  they are pipes
        assert git.stdout  # noqa: S101
        for number, version in enumerate(versions):
            git.stdin.write(f"{version.blob}\n".encode())
            git.stdin.flush()
            body, is_whole = _body(git.stdout, min(most_bytes, left))
            if b"\0" in body[:_LOOKED_AT]:
                binary.append(version)
            elif not is_whole:
                too_large.append(version)
            else:
                left -= len(body)
                path = folder / str(number) / PurePosixPath(version.path).name
                path.parent.mkdir(parents=True)
                path.write_bytes(body)
                files[str(path.relative_to(folder))] = version
        git.stdin.close()
    return Written(files, tuple(binary), tuple(too_large))


def _body(answers: IO[bytes], most: int) -> tuple[bytes, bool]:
    """What there is of the next object, and whether that is all: of one larger than *most* only the beginning is kept."""
    header = answers.readline().decode().split()
    if len(header) != 3 or header[1] != "blob":  # noqa: PLR2004  name, type, size
        raise GitRefused(f"git cat-file: {' '.join(header) or 'no answer'}", hint="see the repository's folder")
    size = int(header[2])
    body = answers.read(size if size <= most else min(size, _LOOKED_AT))
    left = size - len(body)
    while left:
        left -= len(answers.read(min(left, _PIECE)))
    # The end of a line after each.
    answers.read(1)
    return body, size <= most


def _tree(repository: Path, commit: str) -> list[tuple[str, str]]:
    """(blob, path) of its files and links, by path."""
    found: list[tuple[str, str]] = []
    for entry in _git(repository, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0"):
        kind, _, path = entry.partition("\t")
        if path and not kind.startswith(_MODULE):
            found.append((kind.split()[2], path))
    return found


def _added(repository: Path, commit: str, since: str | None) -> list[tuple[str, str]]:
    """(blob, path) of what commits brought that are in *commit* and not in *since*."""
    excluded = [f"^{since}"] if since else []
    listed = _git(repository, "rev-list", "--objects", commit, *excluded, "--").splitlines()
    named = [(blob, path) for blob, _, path in (line.partition(" ") for line in listed) if path]
    asked = "".join(f"{blob}\n" for blob, _ in named)
    kinds = _git(repository, "cat-file", "--batch-check=%(objecttype)", told=asked).splitlines()
    return [each for each, kind in zip(named, kinds, strict=True) if kind == "blob"]


def _git(repository: Path, *words: str, told: str = "") -> str:
    try:
        ran = subprocess.run(
            ["git", f"--git-dir={repository}", *words],
            env=_ENVIRONMENT,
            input=told.encode(),
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise GitRefused(f"git {words[0]}: {type(error).__name__}", hint="see the repository's folder") from None
    if ran.returncode:
        said = ran.stderr.decode(errors="replace").strip()[-300:]
        raise GitRefused(f"git {words[0]} ended with {ran.returncode}: {said}", hint="see the repository's folder")
    return ran.stdout.decode(errors="replace")
