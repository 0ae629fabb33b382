"""A repository in a folder, read and never written: what Elasticsearch's own `fs` repositories are.

No path leads out of the folder: a damaged catalogue names paths, and whoever can write to the repository can place links
in it. Each folder is opened from the one that it lies in and no link is followed, so nothing can be exchanged in between.
Nothing but plain files is opened: a pipe would hold the night up.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from steward.repository.blobs import MOST_METADATA_BYTES
from steward.repository.errors import BlobMissing, BlobRefused, BlobsAway

#: Larger pieces are read no faster.
CHUNK_BYTES = 1 << 20

_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}
_CLOSED = {errno.EACCES, errno.EPERM}
_FOLDER = os.O_DIRECTORY | os.O_NOFOLLOW
_FILE = os.O_NONBLOCK | os.O_NOFOLLOW
_LINK_HINT = "Elasticsearch makes no links: name the folder itself in the settings, and find out who placed this one"


class FolderBlobs:
    """The blobs below *root*. Satisfies `steward.repository.blobs.Blobs`; threads may share it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes:
        """A whole blob of metadata; a larger one is refused before any of it is in memory."""
        with self._file(path) as file:
            if (size := os.fstat(file).st_size) > MOST_METADATA_BYTES:
                raise BlobRefused(
                    path, f"{size:,} bytes, of metadata at most {MOST_METADATA_BYTES:,}", hint="is it what it is named?"
                )
            return b"".join(_pieces(file))

    def chunks(self, path: str) -> Iterator[bytes]:
        """A blob of any size in pieces of at most CHUNK_BYTES."""
        with self._file(path) as file:
            yield from _pieces(file)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Path → bytes of every blob whose path begins with *prefix*. Folders that cannot hold any are not listed."""
        folder, slash, _ = prefix.rpartition("/")
        try:
            with self._folder(prefix, _parts(folder) if slash else []) as at:
                return dict(_listed(at, folder + slash, prefix))
        except BlobMissing:
            return {}

    @contextmanager
    def _file(self, path: str) -> Generator[int]:
        """The descriptor of a plain file."""
        *folders, name = _parts(path)
        with self._folder(path, folders) as at, ExitStack() as opened:
            file = _opened(opened, name, _FILE, at)
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise BlobRefused(path, "it is no plain file", hint="Elasticsearch makes nothing else: look who did")
            yield file

    @contextmanager
    def _folder(self, path: str, folders: list[str]) -> Generator[int]:
        """The descriptor of a folder below the root. What the system refuses within is told of *path*."""
        with ExitStack() as opened:
            try:
                at = _opened(opened, str(self._root), os.O_DIRECTORY)
            except OSError as error:
                raise BlobsAway(
                    f"{self._root} cannot be opened: {error.strerror}", hint="is it mounted, and open to this user?"
                ) from error
            try:
                for folder in folders:
                    at = _opened(opened, folder, _FOLDER, at)
                yield at
            except OSError as error:
                raise self._told(path, error) from error

    def _told(self, path: str, error: OSError) -> Exception:
        if error.errno == errno.ELOOP:
            return BlobRefused(path, "it is a link", hint=_LINK_HINT)
        if error.errno in _ABSENT:
            return BlobMissing(path, str(self._root))
        if error.errno in _CLOSED:
            return BlobRefused(
                path, f"{error.strerror} for user {os.geteuid()}", hint="let this user read the repository"
            )
        # A disk or a file server that fails now may answer later; it says nothing about the blob.
        return BlobsAway(
            f"{path} in {self._root} cannot be read: {error.strerror}", hint="see the machine's kernel log"
        )


def _parts(path: str) -> list[str]:
    """The names in *path*. BlobRefused: it is absolute, or would leave the repository."""
    parts = path.split("/")
    if "\0" in path or {"", ".", ".."} & set(parts):
        raise BlobRefused(
            path, "it is no path below the repository", hint="the blob that names it is damaged, or forged"
        )
    return parts


def _opened(stack: ExitStack, name: str, flags: int, at: int | None = None) -> int:
    """A descriptor that *stack* closes. OSError, with ELOOP where *name* is a link that is not to be followed."""
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | flags, dir_fd=at)
    except NotADirectoryError as error:
        # Linux says so of links, too, where a folder is asked for.
        if flags & os.O_NOFOLLOW and stat.S_ISLNK(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
        raise
    stack.callback(os.close, descriptor)
    return descriptor


def _pieces(file: int) -> Iterator[bytes]:
    while piece := os.read(file, CHUNK_BYTES):
        yield piece


def _listed(at: int, base: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Path and bytes of the plain files below the folder *at*, whose own path is *base*."""
    for folder, folders, files, here in os.fwalk(".", dir_fd=at, onerror=_raise_unless_gone):
        within = base + f"{folder}/".removeprefix("./")
        folders[:] = [name for name in folders if f"{within}{name}".startswith(prefix)]
        for name in [*folders, *(name for name in files if f"{within}{name}".startswith(prefix))]:
            found = _status(name, here)
            if found and stat.S_ISLNK(found.st_mode):
                raise BlobRefused(f"{within}{name}", "it is a link", hint=_LINK_HINT)
            if found and stat.S_ISREG(found.st_mode):
                yield f"{within}{name}", found.st_size


def _status(name: str, folder: int) -> os.stat_result | None:
    """None where it was deleted since it was listed."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
