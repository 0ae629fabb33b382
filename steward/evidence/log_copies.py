"""A whole log as it is found, in the stores or in an export, before anything about it is believed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from steward.evidence.envelopes import open_envelope, verify
from steward.evidence.errors import SignatureRefused, UnusableEnvelope, UnusableStatement
from steward.evidence.leaves import Anchored
from steward.evidence.merkle import Node, leaf_hash
from steward.evidence.rows import Recorded
from steward.evidence.statements import Statement, parse_statement

if TYPE_CHECKING:
    from steward.evidence.signers import Key


@dataclass(frozen=True)
class EntryFacts:
    """What was found of one entry; the entry itself is let go, for a log may be larger than the memory."""

    index: int
    leaf: bytes | None
    """The hash of the entry as it is now; None where it is gone."""
    about: str = ""
    """What it says to be about."""
    faults: tuple[str, ...] = ()
    """What is wrong with it whatever the log says."""
    unknown_key: str = ""
    """The id of the key that signed the statement, where that key is not at hand."""


@dataclass(frozen=True)
class LogCopy:
    """Everything that was found of one log."""

    source: str
    origin: str
    entries: list[EntryFacts]
    """From index 0 on, without a gap: what is missing is there with no leaf."""
    checkpoints: dict[str, bytes]
    """Notes by where they were found."""
    leaves: dict[int, bytes]
    """The leaves' hashes as they are kept beside the entries."""
    anchored: Anchored | None
    """None where the anchors were not looked at."""
    nodes: dict[Node, bytes] = field(default_factory=dict[Node, bytes])
    outside: Sequence[str] = ()
    """Digests of statements that are recorded and no entries."""
    notices: Sequence[str] = ()
    statements_checked: bool = True
    """Whether keys were at hand to check each statement's own signature."""


def inspect(index: int, envelope: bytes | None, keys: Iterable[Key], row: Recorded | None = None) -> EntryFacts:
    """What *envelope* is by itself: whether one of *keys* signed it, and whether its *row* tells the same."""
    if envelope is None:
        return EntryFacts(index, None)
    leaf, known = leaf_hash(envelope), {key.keyid: key for key in keys}
    try:
        opened = open_envelope(envelope)
        statement = parse_statement(opened.payload)
        stranger = "" if known.keys() & opened.signatures.keys() or not known else ", ".join(sorted(opened.signatures))
        faults = () if stranger or not known else _refusals(envelope, known)
    except (UnusableEnvelope, UnusableStatement) as error:
        return EntryFacts(index, leaf, faults=(error.message,))
    told = () if row is None else _untrue(row, statement)
    return EntryFacts(index, leaf, _about(statement), (*faults, *told), stranger)


def _refusals(envelope: bytes, known: dict[str, Key]) -> tuple[str, ...]:
    signer = next(keyid for keyid in open_envelope(envelope).signatures if keyid in known)
    try:
        verify(envelope, known[signer])
    except SignatureRefused as error:
        return (error.message,)
    return ()


def _untrue(row: Recorded, statement: Statement) -> tuple[str, ...]:
    """Where the columns that people search by say something else than what was signed."""
    names = ("operation", "subject", "period", "attempt", "verdict")
    return tuple(
        f"its row says {name} {getattr(row, name)}, what was signed says {getattr(statement, name)}"
        for name in names
        if getattr(row, name) != getattr(statement, name)
    )


def _about(statement: Statement) -> str:
    return f"{statement.operation} of {statement.subject}, period {statement.period}, attempt {statement.attempt}"
