from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.evidence.merkle import (
    EMPTY_ROOT,
    Tree,
    consistency_ranges,
    hash_of,
    inclusion_ranges,
    leaf_hash,
    node_hash,
    nodes_needed,
    nodes_under,
    verify_consistency,
    verify_inclusion,
)

# The eight entries that Certificate Transparency's implementations are tried with, and the hashes over them, as
# published in https://github.com/transparency-dev/merkle/blob/main/testonly/constants.go (and before that in
# https://github.com/google/certificate-transparency, merkletree tests).
ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
LEAVES = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7",
    "07506a85fd9dd2f120eb694f86011e5bb4662e5c415a62917033d4a9624487e7",
    "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    "4271a26be0d8a84f0bd54c8c302e7cb3a3b5d1fa6780a40bcce2873477dab658",
    "b08693ec2e721597130641e8211e7eedccb4c26413963eee6c1e2ed16ffb1a5f",
    "46f6ffadd3d06a09ff3c5860d2755c8b9819db7df44251788c7d8e3180de8eb1",
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# Of the same publication, happy paths in testdata/inclusion and testdata/consistency.
PATHS = {
    (0, 8): [LEAVES[1], "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"],
    (5, 8): [LEAVES[4], "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0", ROOTS[4]],
    (2, 3): [ROOTS[2]],
    (1, 5): [LEAVES[0], "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e", LEAVES[4]],
}  # fmt: skip
PROOFS = {
    (1, 8): [LEAVES[1], "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
             "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"],
    (6, 8): ["0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
             "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0", ROOTS[4]],
    (2, 5): ["5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e", LEAVES[4]],
    (1, 1): [],
}  # fmt: skip

TREE = Tree([leaf_hash(entry) for entry in ENTRIES])


def test_leaves_are_hashed_as_published():
    assert [leaf_hash(entry).hex() for entry in ENTRIES] == LEAVES


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_that_were_published(size):
    assert TREE.root(size).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), PATHS)
def test_inclusion_is_proved_as_published(index, size):
    path = [bytes.fromhex(one) for one in PATHS[index, size]]
    assert TREE.inclusion(index, size) == path
    assert verify_inclusion(leaf_hash(ENTRIES[index]), index, size, path, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("first", "second"), PROOFS)
def test_consistency_is_proved_as_published(first, second):
    proof = [bytes.fromhex(one) for one in PROOFS[first, second]]
    assert TREE.consistency(first, second) == proof
    assert verify_consistency(first, second, proof, *(bytes.fromhex(ROOTS[size]) for size in (first, second)))


# The definitions of RFC 6962, section 2.1, word for word: slow, and plainly right.


def _split(count):
    return 1 << ((count - 1).bit_length() - 1)


def _mth(entries):
    if not entries:
        return EMPTY_ROOT
    if len(entries) == 1:
        return leaf_hash(entries[0])
    k = _split(len(entries))
    return node_hash(_mth(entries[:k]), _mth(entries[k:]))


def _path(m, entries):
    if len(entries) == 1:
        return []
    k = _split(len(entries))
    if m < k:
        return [*_path(m, entries[:k]), _mth(entries[k:])]
    return [*_path(m - k, entries[k:]), _mth(entries[:k])]


def _subproof(m, entries, complete):
    if m == len(entries):
        return [] if complete else [_mth(entries)]
    k = _split(len(entries))
    if m <= k:
        return [*_subproof(m, entries[:k], complete), _mth(entries[k:])]
    return [*_subproof(m - k, entries[k:], complete=False), _mth(entries[:k])]


entries_lists = st.lists(st.binary(max_size=4), min_size=1, max_size=70)


@given(entries_lists, st.data())
def test_every_inclusion_is_proved_as_the_rfc_defines_it(entries, data):
    index = data.draw(st.integers(0, len(entries) - 1))
    tree = Tree([leaf_hash(entry) for entry in entries])
    path = tree.inclusion(index, len(entries))
    assert tree.root(len(entries)) == _mth(entries)
    assert path == _path(index, entries)
    assert verify_inclusion(leaf_hash(entries[index]), index, len(entries), path, _mth(entries))


@given(entries_lists, st.data())
def test_every_consistency_is_proved_as_the_rfc_defines_it(entries, data):
    first = data.draw(st.integers(1, len(entries)))
    tree = Tree([leaf_hash(entry) for entry in entries])
    proof = tree.consistency(first, len(entries))
    assert proof == _subproof(first, entries, complete=True)
    assert verify_consistency(first, len(entries), proof, _mth(entries[:first]), _mth(entries))


@given(entries_lists, st.data())
def test_a_changed_path_proves_nothing(entries, data):
    index, size = data.draw(st.integers(0, len(entries) - 1)), len(entries)
    leaf, root = leaf_hash(entries[index]), _mth(entries)
    path = _path(index, entries)
    for changed in _changes(path):
        assert not verify_inclusion(leaf, index, size, changed, root)
    assert not verify_inclusion(leaf_hash(b"other"), index, size, path, root)
    assert not verify_inclusion(leaf, index, size, path, bytes(32))
    assert not verify_inclusion(leaf, index + size, size, path, root)
    assert not verify_inclusion(leaf, -1, size, path, root)


@given(entries_lists, st.data())
def test_a_changed_proof_shows_no_consistency(entries, data):
    first, second = data.draw(st.integers(1, len(entries))), len(entries)
    roots = (_mth(entries[:first]), _mth(entries))
    proof = _subproof(first, entries, complete=True)
    for changed in _changes(proof):
        assert not verify_consistency(first, second, changed, *roots)
    assert not verify_consistency(first, second, proof, bytes(32), roots[1])
    assert not verify_consistency(first, second, proof, roots[0], bytes(32))
    assert not verify_consistency(second + 1, second, proof, *roots)


def _changes(hashes):
    yield [*hashes, bytes(32)]
    yield [bytes(32), *hashes]
    if hashes:
        yield hashes[1:]
        yield hashes[:-1]
    for place, one in enumerate(hashes):
        yield [*hashes[:place], bytes([one[0] ^ 1, *one[1:]]), *hashes[place + 1 :]]
        yield [*hashes[:place], one[:-1], *hashes[place + 1 :]]


def test_nothing_shows_that_a_log_begins_with_the_empty_one():
    assert not verify_consistency(0, 3, [], EMPTY_ROOT, TREE.root(3))
    assert verify_consistency(0, 0, [], EMPTY_ROOT, EMPTY_ROOT)
    assert not verify_consistency(0, 0, [], bytes(32), bytes(32))


@given(st.integers(1, 2**40), st.data())
def test_a_proof_takes_few_nodes_however_long_the_log(size, data):
    index = data.draw(st.integers(0, size - 1))
    assert len(nodes_needed(inclusion_ranges(index, size))) <= 2 * size.bit_length()
    assert len(nodes_needed(consistency_ranges(index, size))) <= 3 * size.bit_length()


@given(st.integers(0, 2**40))
def test_a_root_is_made_of_the_perfect_subtrees_from_left_to_right(size):
    under = nodes_under((0, size))
    assert sum(1 << level for level, _ in under) == size
    assert [level for level, _ in under] == sorted({level for level, _ in under}, reverse=True)


def test_asking_beyond_the_tree_is_refused():
    for call in (lambda: inclusion_ranges(3, 3), lambda: consistency_ranges(4, 3), lambda: TREE.inclusion(8, 8)):
        with pytest.raises(ValueError, match=r"tree of [38]"):
            call()
    assert hash_of((0, 0), {}) == EMPTY_ROOT
