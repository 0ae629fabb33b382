"""A manifest is one text for one closure, and one that was damaged is not read."""

import gzip
import hashlib
import json
from random import Random

import pytest

from steward.repository import manifest
from steward.repository.errors import ManifestUnreadable
from steward.repository.manifest import Entry, Manifest, read
from tests.unit.repository.sample import flipped, sample

ENTRIES = tuple(Entry(path, len(blob), hashlib.sha256(blob).hexdigest()) for path, blob in sample().items())
MANIFEST = Manifest("repo-uuid", 1, "nightly-2026-11-27", "snapshot-uuid", tuple(sorted(ENTRIES, key=lambda e: e.path)))


def packed(*lines):
    return gzip.compress("".join(f"{line}\n" for line in lines).encode())


def lines():
    return MANIFEST.text().decode().splitlines()


def test_what_was_packed_is_read():
    assert read(MANIFEST.body()) == MANIFEST
    versioned = Manifest("r", 1, "s", "u", (Entry("a/b", 1, "0" * 64, "version-1"),))
    assert read(versioned.body()) == versioned
    assert versioned.text().splitlines()[1] == (
        b'{"bytes":1,"path":"a/b","sha256":"' + b"0" * 64 + b'","version":"version-1"}'
    )


def test_the_text_is_the_same_in_whatever_order_the_blobs_were_found():
    shuffled = list(ENTRIES)
    Random(1).shuffle(shuffled)
    other = Manifest("repo-uuid", 1, "nightly-2026-11-27", "snapshot-uuid", tuple(shuffled))
    assert (other.text(), other.digest(), other.body()) == (MANIFEST.text(), MANIFEST.digest(), MANIFEST.body())
    assert MANIFEST.digest() == hashlib.sha256(MANIFEST.text()).hexdigest()


def test_anyone_reads_it_with_what_every_machine_has():
    head, *entries = map(json.loads, gzip.decompress(MANIFEST.body()).splitlines())
    assert head == {
        "entries": len(ENTRIES),
        "format": "steward-blobs-v1",
        "generation": 1,
        "repository": "repo-uuid",
        "snapshot": "nightly-2026-11-27",
        "snapshot_uuid": "snapshot-uuid",
    }
    assert {each["path"]: each["bytes"] for each in entries} == sample().sizes()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no gzip",
        packed(),
        packed("[]"),
        packed(*lines()[:-1]),
        packed(*lines(), lines()[-1]),
        packed(lines()[0].replace(f":{len(ENTRIES)},", f":{len(ENTRIES) + 1},"), *lines()[1:], lines()[-1]),
        packed(lines()[0], *reversed(lines()[1:])),
        packed(*(line.replace(":", ": ", 1) for line in lines())),
        packed(*(line.replace("steward-blobs-v1", "steward-blobs-v2") for line in lines())),
        packed(*(line.replace("index.latest", "../index.latest") for line in lines())),
        packed(*(line.replace("index.latest", "/index.latest") for line in lines())),
        packed(*(line.replace("index.latest", "a//index.latest") for line in lines())),
        packed(*(line.replace('"bytes":8,', '"bytes":-8,') for line in lines())),
        packed(*(line.replace('"sha256":"', '"sha256":"0') for line in lines())),
        packed(*(line.replace('{"bytes"', '{"more":1,"bytes"') for line in lines())),
        MANIFEST.body() + MANIFEST.body(),
        MANIFEST.body()[:-9],
    ],
    ids=range(18),
)
def test_another_text_is_refused(body):
    with pytest.raises(ManifestUnreadable, match="the manifest cannot be read: ") as unreadable:
        read(body)
    assert unreadable.value.hint


def test_a_flipped_bit_never_makes_another_manifest():
    body = MANIFEST.body()
    for at in range(len(body)):
        try:
            assert read(flipped(body, at, at % 8)) == MANIFEST  # gzip's header has bits without a meaning
        except ManifestUnreadable:
            continue


def test_a_text_beyond_the_bound_is_refused_and_not_held(monkeypatch):
    monkeypatch.setattr(manifest, "MOST_BYTES", 100)
    with pytest.raises(ManifestUnreadable, match="it does not end after 100 bytes"):
        read(MANIFEST.body())
