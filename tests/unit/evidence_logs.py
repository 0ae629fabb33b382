"""A whole log in memory, signed with keys of its own: what an installation would export."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from securesystemslib.signer import CryptoSigner

from steward.evidence.bundles import ANCHORS, CHECKPOINT, CHECKPOINTS, LEAVES, STATEMENTS, SUFFIX
from steward.evidence.canonical import canonical_json
from steward.evidence.checkpoints import Checkpoint
from steward.evidence.envelopes import sign
from steward.evidence.merkle import Tree, leaf_hash
from steward.evidence.notes import NoteKey, NoteSignature, write_note
from steward.evidence.proofs import Proof
from steward.evidence.signers import verifying_key
from tests.unit.evidence_samples import public_pem, statement

ORIGIN = "steward/evidence/6f1c2a9e-0d7b-4c58-9c3e-2b5d8a417f60"


class NotesSigner:
    """An EC P-256 key as a vault has one, here in memory."""

    def __init__(self) -> None:
        self.private = ec.generate_private_key(ec.SECP256R1())
        self.key = NoteKey(self.private.public_key())

    def note(self, checkpoint: Checkpoint) -> bytes:
        value = self.private.sign(checkpoint.text.encode(), ec.ECDSA(SHA256()))
        return write_note(checkpoint.text, [NoteSignature(checkpoint.origin, self.key.key_id, value)]).encode()


class Log:
    """Entries, and checkpoints of any number of them."""

    def __init__(self, count: int, signer: NotesSigner | None = None, origin: str = ORIGIN) -> None:
        self.signer, self.origin = signer or NotesSigner(), origin
        private = Ed25519PrivateKey.generate()
        self.statements = CryptoSigner(private, verifying_key(private.public_key()))
        self.statements_pem = public_pem(private)
        self.entries = [self.envelope(index) for index in range(count)]

    def envelope(self, index: int, **changes) -> bytes:
        return sign(statement(period=f"2025-08-{index + 1:02}", **changes).payload(), self.statements)

    @property
    def leaves(self) -> list[bytes]:
        return [leaf_hash(entry) for entry in self.entries]

    def note(self, size: int | None = None) -> bytes:
        size = len(self.entries) if size is None else size
        return self.signer.note(Checkpoint(self.origin, size, Tree(self.leaves).root(size)))

    def proof(self, index: int, size: int | None = None) -> Proof:
        size = len(self.entries) if size is None else size
        return Proof(
            self.entries[index], index, tuple(Tree(self.leaves).inclusion(index, size)), self.note(size).decode()
        )

    def anchored_leaves(self, begin: int, end: int) -> bytes:
        leaves = [
            {
                "index": index,
                "leaf": self.leaves[index].hex(),
                "statement": hashlib.sha256(self.entries[index]).hexdigest(),
                "operation": "nightly-snapshot",
                "subject": "production",
                "period": f"2025-08-{index + 1:02}",
                "attempt": 1,
            }
            for index in range(begin, end)
        ]
        return canonical_json({"leaves": leaves})

    def write(self, folder: Path, size: int | None = None, *, anchored: int | None = None) -> Path:
        """As `export --log` would: up to *size* entries, with anchors of the first *anchored* where given."""
        size, note = (len(self.entries) if size is None else size), self.note(size)
        for part in (STATEMENTS, CHECKPOINTS):
            (folder / part).mkdir(parents=True)
        (folder / CHECKPOINT).write_bytes(note)
        (folder / CHECKPOINTS / str(size)).write_bytes(note)
        (folder / LEAVES).write_text("".join(f"{leaf.hex()}\n" for leaf in self.leaves[:size]))
        tree = Tree(self.leaves)
        for index in range(size):
            proof = Proof(self.entries[index], index, tuple(tree.inclusion(index, size)), note.decode())
            (folder / STATEMENTS / f"{index}{SUFFIX}").write_bytes(proof.written())
        if anchored is not None:
            self._write_anchors(folder / ANCHORS, anchored)
        return folder

    def _write_anchors(self, folder: Path, size: int) -> None:
        for part in ("checkpoints", "leaves"):
            (folder / part).mkdir(parents=True)
        (folder / "checkpoints" / f"{size:012}").write_bytes(self.note(size))
        (folder / "leaves" / f"{0:012}-{size:012}").write_bytes(self.anchored_leaves(0, size))
