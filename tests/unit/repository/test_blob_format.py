"""A blob of metadata is believed once its checksum, its frame and its shape are right; a file's checksum runs along."""

import random
import zlib

import msgspec
import pytest

from steward.repository import blob_format
from steward.repository.blob_format import RunningChecksum, body, parse
from steward.repository.errors import MalformedBlob
from tests.unit.repository.sample import as_smile, codec_of, flipped, framed, lucene, paths, sample

DOCUMENT = {"name": "one", "number": 3}


class Shape(msgspec.Struct):
    name: str
    number: int = 0


def test_a_framed_document_is_read_deflated_or_not():
    for deflated in (True, False):
        blob = framed("snapshot", as_smile(DOCUMENT), deflated=deflated)
        assert parse("snap-x.dat", blob, "snapshot", Shape) == Shape("one", 3)


@pytest.mark.parametrize(
    ("blob", "why"),
    [
        (b"", "its footer says nothing: no byte is none"),
        (b"\xc0", "its footer says nothing: c0 is none"),
        (lucene(b""), "it begins with c02893e8"),
        (framed("snapshot", as_smile(DOCUMENT))[:-1], "its footer says nothing"),
        (framed("snapshot", as_smile(DOCUMENT)) + b"\0", "its footer says nothing"),
        (flipped(framed("snapshot", as_smile(DOCUMENT)), 30), "its CRC32 is"),
        (flipped(framed("snapshot", as_smile(DOCUMENT)), 40), "its CRC32 is"),
        (framed("snapshots", as_smile(DOCUMENT)), "expected 3fd76c1708"),
        (framed("metadata", as_smile(DOCUMENT)), "codec snapshot"),
        (framed("snapshot", b'{"name":"one"}', deflated=False), "no SMILE header at byte 0"),
        (framed("snapshot", b"DFL\0\xff", deflated=False), "it does not inflate"),
        (framed("snapshot", b"DFL\0", deflated=False), "it does not end after 0 inflated bytes"),
        (framed("snapshot", as_smile(DOCUMENT)[:-1]), "the end at byte"),
        (framed("snapshot", as_smile([1])), "Expected `object`, got `array`"),
        (framed("snapshot", as_smile({"name": 1})), r"Expected `str`, got `int` - at `\$.name`"),
    ],
    ids=range(15),
)
def test_what_is_wrong_with_a_blob_is_said_with_its_path(blob, why):
    with pytest.raises(MalformedBlob, match=why) as malformed:
        parse("snap-x.dat", blob, "snapshot", Shape)
    assert str(malformed.value).startswith("snap-x.dat: ")
    assert malformed.value.hint


def test_something_behind_the_deflated_document_is_refused():
    packer = zlib.compressobj(wbits=-15)
    packed = b"DFL\0" + packer.compress(as_smile(DOCUMENT)) + packer.flush() + b"more"
    with pytest.raises(MalformedBlob, match="it does not end"):
        parse("x", framed("snapshot", packed, deflated=False), "snapshot", Shape)


def test_a_document_that_inflates_beyond_the_bound_is_refused_and_not_held(monkeypatch):
    monkeypatch.setattr(blob_format, "MOST_METADATA_BYTES", 1_000)
    with pytest.raises(MalformedBlob, match="it does not end after 1,000 inflated bytes"):
        parse("x", framed("snapshot", as_smile({"name": "a" * 5_000})), "snapshot", Shape)


def test_a_document_nested_as_deep_as_may_be_is_read():
    deep = as_smile({"name": "a", "more": 0})[:-3] + b"\xf8" * 999 + b"\xf9" * 999 + b"\xfb"
    assert parse("x", framed("snapshot", deep), "snapshot", Shape) == Shape("a")
    assert parse("x", framed("snapshot", deep), "snapshot", dict)["more"]


def test_real_blobs_have_their_frame_and_every_flipped_bit_breaks_it():
    blobs = sample()
    for path in paths(blobs, begins="snap") + paths(blobs, begins="meta"):
        blob = blobs[path]
        assert body(path, blob, codec_of(path)).startswith(b"DFL\0")
        for at in range(len(blob)):
            with pytest.raises(MalformedBlob):
                body(path, flipped(blob, at, at % 8), codec_of(path))


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 5_000])
def test_a_checksum_is_the_same_whatever_the_pieces(size):
    whole = lucene(random.Random(size).randbytes(size))
    for most in (1, 7, 16, 17, 40, 10_000):
        checksum, pieces = RunningChecksum(), random.Random(most)
        start = 0
        while start < len(whole):
            end = start + pieces.randint(1, most)
            checksum.update(whole[start:end])
            start = end
        assert (checksum.sound, checksum.seen, checksum.bytes) == (True, zlib.crc32(whole[:-8]), len(whole))


@pytest.mark.parametrize("whole", [b"", lucene(b"file")[:-1], lucene(b"file")[1:], flipped(lucene(b"file"), 19)])
def test_a_file_without_its_own_footer_is_not_sound(whole):
    checksum = RunningChecksum()
    checksum.update(whole)
    assert not checksum.sound
