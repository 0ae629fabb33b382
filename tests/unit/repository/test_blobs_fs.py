"""A repository in a folder: blobs are read in bounded memory, no path and no link leads out, what is closed is said."""

import errno
import os
from pathlib import Path

import pytest

from steward.clients import blobs_fs
from steward.clients.blobs_fs import CHUNK_BYTES, FolderBlobs
from steward.errors import is_transient
from steward.repository.closure import closure_of
from steward.repository.errors import BlobMissing, BlobRefused, BlobsAway
from tests.unit.repository.sample import GENERATION, sample, uuid_of


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "repository"
    for path, blob in sample().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(blob)
    return folder


def attempts(blobs, path):
    """Each way to open a blob."""
    return (lambda: blobs.read(path), lambda: list(blobs.chunks(path)))


def refused(blobs, path, kind=BlobRefused, match=""):
    for attempt in attempts(blobs, path):
        with pytest.raises(kind, match=match) as error:
            attempt()
        assert error.value.hint
        assert is_transient(error.value) is (kind is BlobsAway)


def test_a_folder_gives_the_same_closure_as_memory_and_lists_the_same_blobs(root):
    blobs, there = FolderBlobs(root), sample()
    two = uuid_of(there, "two")
    assert closure_of(blobs, GENERATION, two) == closure_of(there, GENERATION, two)
    assert blobs.sizes() == there.sizes()
    for prefix in ("index-", "indices/", "indices/R", "snap-", f"snap-{two}.dat", "nothing", "indices/none/", "x/y/z"):
        assert blobs.sizes(prefix) == there.sizes(prefix)
    shard = next(path for path in there if "/0/" in path).rpartition("/")[0]
    assert blobs.sizes(f"{shard}/__") == there.sizes(f"{shard}/__") != {}


def test_a_listing_opens_no_folder_that_cannot_hold_what_is_asked_for(root):
    os.mkfifo(root / "indices" / "pipe")
    (root / "elsewhere").symlink_to(root.parent)
    assert FolderBlobs(root).sizes("index-").keys() == {"index-1"}


def test_a_large_blob_comes_in_pieces(root):
    with (root / "large").open("wb") as file:
        file.truncate(2 * CHUNK_BYTES + 5)
    assert list(map(len, FolderBlobs(root).chunks("large"))) == [CHUNK_BYTES, CHUNK_BYTES, 5]


def test_metadata_beyond_the_bound_are_refused_and_not_held(root, monkeypatch):
    monkeypatch.setattr(blobs_fs, "MOST_METADATA_BYTES", 7)
    with pytest.raises(BlobRefused, match="8 bytes, of metadata at most 7"):
        FolderBlobs(root).read("index.latest")


@pytest.mark.parametrize("path", ["gone", "indices/gone/0/x", "index.latest/x", "x" * 300])
def test_a_blob_that_is_not_there_is_missing(root, path):
    refused(FolderBlobs(root), path, BlobMissing, "is not in ")


@pytest.mark.parametrize("path", ["../secret", "/etc/hostname", "indices/../../secret", ".", "", "a//b", "a\0b", "a/"])
def test_a_path_out_of_the_repository_is_refused(root, path):
    (root.parent / "secret").write_text("secret")
    refused(FolderBlobs(root), path, match="no path below the repository")


@pytest.mark.parametrize("prefix", ["../", "/etc/", "indices/../../"])
def test_a_listing_out_of_the_repository_is_refused(root, prefix):
    with pytest.raises(BlobRefused, match="no path below"):
        FolderBlobs(root).sizes(prefix)


def test_no_link_is_followed_wherever_it_leads(root):
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (root / "folder").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret")
    (root / "inside").symlink_to(root / "index.latest")
    for path in ("folder/secret", "file", "inside"):
        refused(FolderBlobs(root), path, match="it is a link")
    for prefix in ("", "folder", "file", "folder/"):
        with pytest.raises(BlobRefused, match="it is a link"):
            FolderBlobs(root).sizes(prefix)


def test_the_root_itself_may_be_a_link(root):
    link = root.parent / "link"
    link.symlink_to(root)
    assert FolderBlobs(link).sizes() == sample().sizes()


def test_nothing_but_a_plain_file_is_opened(root):
    os.mkfifo(root / "pipe")
    for path in ("pipe", "indices"):
        refused(FolderBlobs(root), path, match="it is no plain file")
    assert FolderBlobs(root).sizes() == sample().sizes()


def test_a_root_that_is_not_there_is_away_and_no_blob_is_missing(tmp_path):
    blobs = FolderBlobs(tmp_path / "unmounted")
    refused(blobs, "index.latest", BlobsAway, "cannot be opened: No such file")
    with pytest.raises(BlobsAway):
        blobs.sizes()


@pytest.mark.parametrize(
    ("number", "kind", "match"),
    [
        (errno.EACCES, BlobRefused, "Permission denied for user"),
        (errno.EIO, BlobsAway, "cannot be read: Input/output error"),
        (errno.ESTALE, BlobsAway, "cannot be read: Stale file handle"),
    ],
)
def test_what_the_system_says_while_a_blob_is_read_is_told_apart(root, monkeypatch, number, kind, match):
    def failing(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "read", failing)
    refused(FolderBlobs(root), "index.latest", kind, match)


def test_a_blob_that_goes_while_it_is_listed_is_not_there(root, monkeypatch):
    stat = os.stat

    def late(name, **options):
        if name == "index-1":
            (root / name).unlink()
        return stat(name, **options)

    monkeypatch.setattr(os, "stat", late)
    assert FolderBlobs(root).sizes("index").keys() == sample().sizes("index").keys() - {"index-1"}


def test_a_folder_that_is_closed_is_no_empty_one(root, monkeypatch):
    opened = os.open

    def closed(name, *flags, **options):
        if name == "indices":
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(name, *flags, **options)

    monkeypatch.setattr(os, "open", closed)
    for prefix in ("", "indices/"):
        with pytest.raises(BlobRefused, match="Permission denied for user"):
            FolderBlobs(root).sizes(prefix)
    refused(FolderBlobs(root), "indices/x", match="Permission denied for user")


def test_no_descriptor_stays_open_also_when_reading_ends_early(root):
    def descriptors():
        return len([*Path("/proc/self/fd").iterdir()])

    before, blobs = descriptors(), FolderBlobs(root)
    for path in ("index.latest", "gone", "indices/gone", "indices"):
        for attempt in attempts(blobs, path):
            try:
                attempt()
            except (BlobMissing, BlobRefused):
                continue
    pieces = blobs.chunks("index.latest")
    next(pieces)
    pieces.close()
    blobs.sizes()
    assert descriptors() == before
