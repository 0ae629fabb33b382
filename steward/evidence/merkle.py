"""The Merkle tree of RFC 6962, section 2.1: one hash that stands for every entry and their order, and short proofs of it.

A leaf is SHA-256(0x00 ‖ entry), an inner node SHA-256(0x01 ‖ left ‖ right), the root of no entries SHA-256 of nothing.
A tree of n entries has its left branch over the largest power of two below n. The node (level, i) is the perfect
subtree over the entries from i·2^level on, 2^level of them: it never changes once it is full, so it is what is stored,
and root and proofs are put together from a few of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

Node = tuple[int, int]
"""(level, i): the perfect subtree over the entries [i·2^level, (i + 1)·2^level)."""
Range = tuple[int, int]
"""[begin, end): entries under one node of a tree, so that *begin* is aligned to the power of two that *end* - *begin* needs."""

EMPTY_ROOT = hashlib.sha256(b"").digest()


class Nodes(Protocol):
    """Hashes of perfect subtrees: a dict of those that were fetched, or a tree in memory."""

    def __getitem__(self, node: Node, /) -> bytes: ...


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def nodes_under(where: Range) -> list[Node]:
    """The perfect subtrees that *where* consists of, from left to right."""
    begin, end = where
    found: list[Node] = []
    while begin < end:
        level = (end - begin).bit_length() - 1
        found.append((level, begin >> level))
        begin += 1 << level
    return found


def nodes_needed(ranges: Iterable[Range]) -> set[Node]:
    """What `hash_of` will ask for."""
    return {node for where in ranges for node in nodes_under(where)}


def hash_of(where: Range, nodes: Nodes) -> bytes:
    """MTH of RFC 6962 over the entries in *where*."""
    hashes = [nodes[node] for node in nodes_under(where)]
    if not hashes:
        return EMPTY_ROOT
    top = hashes.pop()
    while hashes:
        top = node_hash(hashes.pop(), top)
    return top


def inclusion_ranges(index: int, size: int) -> list[Range]:
    """PATH of RFC 6962, 2.1.1: the siblings on the way from entry *index* up to the root of *size* entries."""
    if not 0 <= index < size:
        raise ValueError(f"entry {index} is not in a tree of {size}")
    begin, end, found = 0, size, list[Range]()
    while end - begin > 1:
        middle = begin + _left_size(end - begin)
        if index < middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((begin, middle))
            begin = middle
    return found[::-1]


def consistency_ranges(first: int, second: int) -> list[Range]:
    """PROOF of RFC 6962, 2.1.2: what shows that *second* entries begin with the *first* ones. Empty for 0 and for equals."""
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {second} cannot be shown to begin with {first}")
    begin, end, found = 0, second, list[Range]()
    if first == 0:
        return found
    while end > first:
        middle = begin + _left_size(end - begin)
        if first <= middle:
            found.append((middle, end))
            end = middle
        else:
            found.append((begin, middle))
            begin = middle
    # What is left is the older tree's last node; where it is the whole older tree, its root is known.
    return ([] if begin == 0 else [(begin, end)]) + found[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether *path* leads from *leaf* at *index* to *root* of *size* entries (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size or not _are_hashes(leaf, root, *path):
        return False
    sides = _sides(index, size - 1, len(path))
    return sides is not None and _climbed(leaf, path, sides) == root


def verify_consistency(first: int, second: int, proof: Sequence[bytes], root_1: bytes, root_2: bytes) -> bool:
    """Whether *proof* shows that the tree *root_2* of *second* begins with the tree *root_1* of *first* (RFC 9162, 2.1.4.2).

    Nothing shows that a tree begins with the empty one, for each does: False where only *first* is 0.
    """
    if not _are_hashes(root_1, root_2, *proof):
        return False
    if first == second:
        return not proof and root_1 == root_2 and (first > 0 or root_1 == EMPTY_ROOT)
    if not 0 < first < second:
        return False
    # Where the older tree is one perfect subtree, that is its root, which no proof repeats.
    path = [root_1, *proof] if first & (first - 1) == 0 else list(proof)
    shift = (first ^ (first - 1)).bit_length() - 1
    sides = _sides((first - 1) >> shift, (second - 1) >> shift, len(path) - 1) if path else None
    if sides is None:
        return False
    older = [sibling for sibling, left in zip(path[1:], sides, strict=True) if left]
    return _climbed(path[0], older, [True] * len(older)) == root_1 and _climbed(path[0], path[1:], sides) == root_2


class Tree:
    """A tree in memory, from its leaves' hashes: for whoever has all of them, as a verifier does."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self._levels = [list(leaves)]
        while len(below := self._levels[-1]) > 1:
            self._levels.append([node_hash(*below[i : i + 2]) for i in range(0, len(below) - 1, 2)])

    def __len__(self) -> int:
        return len(self._levels[0])

    def __getitem__(self, node: Node) -> bytes:
        level, index = node
        return self._levels[level][index]

    def root(self, size: int) -> bytes:
        """The root of its first *size* entries."""
        return hash_of((0, size), self)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        return [hash_of(where, self) for where in inclusion_ranges(index, size)]

    def consistency(self, first: int, second: int) -> list[bytes]:
        return [hash_of(where, self) for where in consistency_ranges(first, second)]


def _left_size(size: int) -> int:
    """The largest power of two below *size*."""
    return 1 << ((size - 1).bit_length() - 1)


def _sides(place: int, last: int, count: int) -> list[bool] | None:
    """Which of *count* siblings on the way up stand on the left; None where the way has another length."""
    sides: list[bool] = []
    while last > 0:
        left = bool(place & 1 or place == last)
        # The last node of a level may have no sibling there: it goes up as it is.
        while left and not place & 1:
            place, last = place >> 1, last >> 1
        sides.append(left)
        place, last = place >> 1, last >> 1
    return sides if len(sides) == count else None


def _climbed(top: bytes, siblings: Sequence[bytes], sides: Sequence[bool]) -> bytes:
    for sibling, left in zip(siblings, sides, strict=True):
        top = node_hash(sibling, top) if left else node_hash(top, sibling)
    return top


def _are_hashes(*values: bytes) -> bool:
    return all(len(value) == hashlib.sha256().digest_size for value in values)
