"""Hashes of leaves as they are anchored, each with what its statement is about, so that a damaged one can be named."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from steward.evidence.canonical import canonical_json, strict_json
from steward.evidence.rows import LogEntry


@dataclass(frozen=True)
class AnchoredLeaf:
    """The hash of entry *index*, and which statement it is."""

    index: int
    leaf: bytes
    statement: str
    about: str


@dataclass(frozen=True)
class Anchored:
    """All that is anchored of one log, by the objects' names below `log/ID/`, unread and unverified."""

    checkpoints: dict[str, bytes]
    leaves: dict[str, bytes]


def write_leaves(entries: Iterable[tuple[LogEntry, bytes]]) -> bytes:
    """As canonical JSON: `{"leaves": [{"index", "leaf", "statement", "operation", "subject", "period", "attempt"}]}`."""
    return canonical_json({"leaves": [_leaf(entry, leaf) for entry, leaf in entries]})


def read_leaves(body: bytes) -> list[AnchoredLeaf]:
    """What `write_leaves` wrote. ValueError where it is something else."""
    try:
        return [_anchored(leaf) for leaf in strict_json(body)["leaves"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"no hashes of leaves: {type(error).__name__}") from None


def _leaf(entry: LogEntry, leaf: bytes) -> dict[str, object]:
    row = entry.row
    about = {"operation": row.operation, "subject": row.subject, "period": row.period} if row else {}
    return {
        "index": entry.index,
        "leaf": leaf.hex(),
        "statement": row.digest if row else "",
        "attempt": row.attempt if row else 0,
        **about,
    }


def _anchored(leaf: dict[str, Any]) -> AnchoredLeaf:
    about = f"{leaf.get('operation')} of {leaf.get('subject')}, period {leaf.get('period')}, attempt {leaf['attempt']}"
    return AnchoredLeaf(int(leaf["index"]), bytes.fromhex(leaf["leaf"]), str(leaf["statement"]), about)


def same_leaves(one: bytes, other: bytes) -> bool:
    """Whether both name the same hashes, however they tell what these are about."""
    try:
        return [(leaf.index, leaf.leaf) for leaf in read_leaves(one)] == [
            (leaf.index, leaf.leaf) for leaf in read_leaves(other)
        ]
    except ValueError:
        return False
