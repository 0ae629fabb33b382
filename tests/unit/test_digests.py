"""The content digest depends on every compared part of every document, and on nothing else."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.snapshots.digests import ContentDigest
from steward.snapshots.documents import Document

PARTS = {"_id": "a", "_seq_no": 1, "_primary_term": 1, "_version": 1, "_source": b'{"n":1.10}', "_routing": "r"}


def document(**parts):
    found = {**PARTS, **parts}
    return Document(**{**found, "_source": msgspec.Raw(found["_source"])})


def digest_of(*documents):
    digest = ContentDigest()
    digest.add(list(documents))
    return digest.text()


documents = st.builds(
    lambda id_, number, source, routing: document(_id=id_, _seq_no=number, _source=source, _routing=routing),
    st.text(max_size=5),
    st.integers(0, 2**63 - 1),
    st.binary(max_size=9),
    st.text(max_size=3),
)


@given(st.lists(documents, max_size=6), st.randoms())
def test_neither_order_nor_pages_matter(found, random):
    shuffled = list(found)
    random.shuffle(shuffled)
    parts = [ContentDigest(), ContentDigest()]
    for n, each in enumerate(shuffled):
        parts[n % 2].add([each])
    parts[0].merge(parts[1])
    assert parts[0].text() == digest_of(*found)


@pytest.mark.parametrize(
    "change",
    [{"_id": "b"}, {"_seq_no": 2}, {"_primary_term": 2}, {"_version": 2}, {"_source": b'{"n":1.1}'}, {"_routing": ""}],
)
def test_every_part_of_a_document_matters(change):
    assert digest_of(document(**change)) != digest_of(document())


def test_a_document_twice_is_not_a_document_once_and_two_do_not_cancel():
    assert len({digest_of(), digest_of(document()), digest_of(document(), document())}) == 3


def test_moving_bytes_between_fields_changes_the_digest():
    assert digest_of(document(_id="ab", _routing="c")) != digest_of(document(_id="a", _routing="bc"))


def test_the_digest_is_what_the_document_on_it_states():
    encoded = (1).to_bytes(8, "big") * 3 + b"\0\0\0\1" + b"\0\0\0\1" + b"\0\0\0\x0a" + b"a" + b"r" + b'{"n":1.10}'
    one = int.from_bytes(hashlib.shake_128(hashlib.sha256(encoded).digest()).digest(256), "big")
    two = (2 * one) % 2**2048
    assert digest_of(document(), document()) == (
        "steward-content-v1:2:" + hashlib.sha256(two.to_bytes(256, "big")).hexdigest()
    )


def test_the_digest_of_nothing_is_stated_too():
    assert digest_of() == "steward-content-v1:0:" + hashlib.sha256(bytes(256)).hexdigest()
