from __future__ import annotations

import gzip
from datetime import UTC, date, datetime

import msgspec
import pytest

from steward.repository.errors import ManifestUnreadable
from steward.repository.manifest import Entry, Manifest
from steward.snapshots.offsite_document import OffsiteDocument, OffsiteIndex, read, version_numbers

ROOT, A, B = "index-3", "indices/idA/0/__x", "indices/idB/meta-m.dat"


def document(**changes):
    blobs = Manifest(
        repository="repo",
        generation=3,
        snapshot="nightly-2026-05-01-7",
        snapshot_uuid="snap",
        entries=tuple(Entry(path=path, bytes=9, sha256="a" * 64, version=f"v-{path}") for path in (B, ROOT, A)),
    )
    known = {
        "cluster": "production",
        "repository": "nightly",
        "cluster_uuid": "uuid",
        "night": date(2026, 5, 1),
        "taken_at": datetime(2026, 5, 1, 2, tzinfo=UTC),
        "elasticsearch": "9.5.3",
        "indices": (
            OffsiteIndex("tenant-a-000001", "a", ("tenant-a",), "idA", 9, 12, "steward-content-v1:12:ab"),
            OffsiteIndex("tenant-b-000001", "b", (), "idB", 9),
        ),
        "blobs": blobs,
    }
    return OffsiteDocument(**{**known, **changes})


def test_what_is_packed_is_read_again_and_always_the_same_bytes():
    packed = document().body()
    found = read(packed)
    assert found.body() == packed
    assert set(found.blobs.entries) == set(document().blobs.entries)
    assert found.indices == document().indices
    assert (found.night, found.taken_at, found.cluster_uuid) == (date(2026, 5, 1), document().taken_at, "uuid")


def test_an_index_needs_its_own_blobs_and_those_of_all():
    def paths(indices):
        return {entry.path for entry in document().entries(indices)}

    assert paths(None) == {ROOT, A, B}
    assert paths(["tenant-a-000001"]) == {ROOT, A}
    assert paths([]) == {ROOT}


def test_a_blob_is_its_indexs():
    assert [document().index_of(path) for path in (ROOT, A, B, "indices/other/0/__x")] == [
        None,
        "tenant-a-000001",
        "tenant-b-000001",
        None,
    ]


def unpacked():
    return gzip.decompress(document().body())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}\n",
        unpacked().replace(b"steward-offsite-v1", b"steward-offsite-v9"),
        # Of a blob, and not of an index.
        unpacked().replace(b'"bytes":9,"path"', b'"bytes":8,"path"', 1),
        unpacked()[:-10],
        unpacked().replace(b'"tenant":"a"', b'"tenant":7'),
        unpacked().replace(A.encode(), b"../../etc/passwd"),
        unpacked().replace(b"2026-05-01T02:00:00Z", b"2026-05-01T02:00:00"),
    ],
)
def test_what_is_damaged_or_forged_is_not_read(text):
    with pytest.raises(ManifestUnreadable) as raised:
        read(gzip.compress(text))
    assert raised.value.hint


@pytest.mark.parametrize("body", [b"", b"no gzip", document().body()[:-4], document().body() + b"!"])
def test_what_is_not_packed_as_it_was_is_not_read(body):
    with pytest.raises(ManifestUnreadable):
        read(body)


def test_each_flipped_bit_of_the_text_shows():
    packed = document().body()
    for at in range(0, len(packed), 7):
        damaged = bytearray(packed)
        damaged[at] ^= 4
        try:
            found = read(bytes(damaged))
        except ManifestUnreadable:
            continue
        # A header's time, or its name of a system, says nothing.
        assert found.body() == packed


def test_a_forged_manifest_below_a_true_line_shows():
    other = document(blobs=msgspec.structs.replace(document().blobs, generation=4))
    line, _, _ = unpacked().partition(b"\n")
    with pytest.raises(ManifestUnreadable, match="its manifest has SHA-256"):
        read(gzip.compress(line + b"\n" + other.blobs.text()))


def test_versions_are_in_the_order_in_which_they_came():
    versions = ["9.10.0", "9.9.1", "10.0.0-SNAPSHOT", "9.5.3"]
    assert sorted(versions, key=version_numbers) == ["9.5.3", "9.9.1", "9.10.0", "10.0.0-SNAPSHOT"]
