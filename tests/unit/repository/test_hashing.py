"""Blobs are read once for both of their checksums, side by side, and what is wrong is told by its path."""

import hashlib
import threading

import pytest

from steward.repository.account import Kind, LuceneFile, Needed
from steward.repository.errors import BlobRefused, BlobsAway
from steward.repository.hashing import Fault, Read, Reading, in_threads, read_blob, read_file
from tests.unit.repository.sample import Memory, flipped, lucene

WHOLE = lucene(bytes(range(256)) * 9)
SPLIT = Memory({"f.part0": WHOLE[:1000], "f.part1": WHOLE[1000:2000], "f.part2": WHOLE[2000:]})


def file_in(blobs, crc=None):
    parts = tuple(Needed(path, Kind.DATA, len(blob)) for path, blob in blobs.items())
    return LuceneFile(parts, "_0.cfs", len(WHOLE), int.from_bytes(WHOLE[-4:], "big") if crc is None else crc)


def sha(blob):
    return hashlib.sha256(blob).hexdigest()


def test_every_part_has_its_digest_and_the_checksum_runs_through_all():
    assert read_file(SPLIT, file_in(SPLIT)) == Read(
        tuple(Reading(path, len(blob), sha(blob)) for path, blob in SPLIT.items())
    )


@pytest.mark.parametrize("part", SPLIT)
def test_a_flipped_bit_in_any_part_is_told_by_both_checksums(part):
    read = read_file(Memory({**SPLIT, part: flipped(SPLIT[part], 7)}), file_in(SPLIT))
    assert read.readings == ()
    assert read.fault.path == "f.part0"
    assert f"expected {len(WHOLE):,} with {int.from_bytes(WHOLE[-4:], 'big'):08x}" in read.fault.fact
    assert "which of its 3 parts is wrong cannot be told: it goes on in f.part1, f.part2" in read.fault.fact


def test_a_file_with_a_right_footer_of_another_file_is_told():
    other = lucene(b"another" * 100)
    read = read_file(Memory({"f": other}), file_in({"f": other}))
    assert f"{len(other):,} bytes with CRC32" in read.fault.fact


def test_parts_that_change_places_are_told():
    swapped = Memory({"f.part0": SPLIT["f.part1"], "f.part1": SPLIT["f.part0"], "f.part2": SPLIT["f.part2"]})
    assert read_file(swapped, file_in(SPLIT)).fault


class Closed(Memory):
    def __init__(self, error) -> None:
        self.error = error

    def chunks(self, _path):
        raise self.error
        yield


def test_what_cannot_be_read_says_nothing_of_the_blob():
    refused = read_blob(Closed(BlobRefused("f", "it is a link", hint="")), "f")
    assert refused.fault == Fault("f", "'f' is not read: it is a link", unread=True)
    away = read_blob(Closed(BlobsAway("the disk fails", hint="")), "f")
    assert away.fault == Fault("f", "the disk fails", away=True, unread=True)


def test_a_blob_that_is_gone_may_just_have_been_replaced():
    assert read_blob(Memory(), "f").fault == Fault("f", "it is missing", missing=True)


def test_readers_work_side_by_side_and_few_are_begun_ahead():
    both, begun = threading.Barrier(2, timeout=60), []

    def given():
        for number in range(50):
            begun.append(number)
            yield number

    def act(number):
        if number < 2:
            both.wait()
        return number

    made = []
    for one in in_threads(act, given(), 2):
        made.append(one)
        assert len(begun) <= len(made) + 8
    assert sorted(made) == list(range(50))


def test_what_a_reader_raises_ends_it_all():
    def act(number):
        if number == 3:
            raise BlobsAway("away", hint="")
        return number

    with pytest.raises(BlobsAway):
        list(in_threads(act, range(1000), 2))
