"""Signed notes as in https://c2sp.org/signed-note: a text, a blank line, and one line a signature.

Of its signature types, ECDSA (0x02) is used, which is what a key vault's EC P-256 key gives: DER, over the SHA-256 of
the text. A key is known by the first four bytes of the SHA-256 of its DER SubjectPublicKeyInfo. Signatures of other
keys, witnesses' for instance, are left aside, as the format asks.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from steward.evidence.errors import NoteRefused, UnusableKey, UnusableNote

_ECDSA_TYPE = b"\x02"
_DASH = "\u2014 "
_ID_BYTES = 4
#: The format asks for 16 signatures at least; a note with a checkpoint in it is far from either limit.
_MOST_SIGNATURES = 64
LARGEST_NOTE_BYTES = 2**18
_PEM_END = b"-----END PUBLIC KEY-----"


@dataclass(frozen=True)
class NoteSignature:
    """One line: who says to have signed, and what a key of that id has to verify."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True)
class Note:
    """A text with its final newline, its signatures NOT verified."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True)
class NoteKey:
    """A key that notes are verified with."""

    public: EllipticCurvePublicKey

    @property
    def der(self) -> bytes:
        return self.public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DER SubjectPublicKeyInfo in hex, as of the keys that sign statements."""
        return hashlib.sha256(self.der).hexdigest()

    @property
    def key_id(self) -> bytes:
        return hashlib.sha256(self.der).digest()[:_ID_BYTES]

    @property
    def pem(self) -> str:
        return self.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def verifier(self, name: str) -> str:
        """The key as other tools take it: `NAME+ID+BASE64`."""
        return f"{name}+{self.key_id.hex()}+{to_base64(_ECDSA_TYPE + self.der)}"

    def verifies(self, text: str, signature: bytes) -> bool:
        try:
            self.public.verify(signature, text.encode(), ECDSA(SHA256()))
        except InvalidSignature:
            return False
        return True


def write_note(text: str, signatures: Sequence[NoteSignature]) -> str:
    lines = (f"{_DASH}{one.name} {to_base64(one.key_id + one.value)}\n" for one in signatures)
    return f"{text}\n{''.join(lines)}"


def read_note(data: bytes) -> Note:
    """What *data* holds. UnusableNote where it is no note; nothing in it is verified yet."""
    try:
        return _note(_text(data))
    except ValueError as error:
        raise UnusableNote(
            f"no signed note: {error}", hint="give a checkpoint as it was given to you, unchanged"
        ) from None


def verify_note(note: Note, name: str, keys: Iterable[NoteKey]) -> NoteKey:
    """The key of *keys* that signed *note* under *name*. NoteRefused where none did, or one that is known did so badly."""
    known = list(keys)
    signed = [
        (key, key.verifies(note.text, one.value))
        for one in note.signatures
        for key in known
        if (one.name, one.key_id) == (name, key.key_id)
    ]
    if not signed or not all(good for _, good in signed):
        told = "a signature that is not its own" if signed else "no signature by a key that was given"
        raise NoteRefused(
            f"the note bears {told}; its signatures: {_listed(note)}; given: "
            f"{', '.join(key.key_id.hex() for key in known) or 'none'}",
            hint="another key id: ask for that time's public key of the log; the same: the text was changed",
        )
    return signed[0][0]


def load_note_keys(path: Path) -> list[NoteKey]:
    """Every public key in the PEM file *path*, which may hold several, one after another."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnusableKey(f"cannot read public keys {path}: {error.strerror}", hint="check its path and mode") from None
    blocks = content.split(_PEM_END)[:-1]
    if not blocks:
        # What was given is not echoed: it may be a private half.
        raise UnusableKey(f"{path} holds no public key in PEM", hint="expected blocks of -----BEGIN PUBLIC KEY-----")
    return [_note_key(block + _PEM_END, path) for block in blocks]


def _note_key(pem: bytes, path: Path) -> NoteKey:
    try:
        public = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey(f"{path} holds a block that is no public key", hint="write it out again") from None
    return note_key(public)


def note_key(public: object) -> NoteKey:
    """*public* as a key of notes. UnusableKey names a kind that none are signed with."""
    if not isinstance(public, EllipticCurvePublicKey) or not isinstance(public.curve, SECP256R1):
        raise UnusableKey(f"a key of kind {type(public).__name__}", hint="checkpoints are signed with EC P-256")
    return NoteKey(public)


def _note(whole: str) -> Note:
    text, blank, below = whole.rpartition("\n\n")
    lines = below.removesuffix("\n").split("\n")
    if not blank or not below.endswith("\n") or len(lines) > _MOST_SIGNATURES:
        raise ValueError("expected a text, a blank line, and then lines of signatures")
    return Note(f"{text}\n", tuple(_signature(line) for line in lines))


def _text(data: bytes) -> str:
    if len(data) > LARGEST_NOTE_BYTES:
        raise ValueError(f"{len(data)} bytes, expected at most {LARGEST_NOTE_BYTES}")
    text = data.decode()
    if any(character < " " and character != "\n" for character in text):
        raise ValueError("it holds a control character")
    return text


def _signature(line: str) -> NoteSignature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space or not is_key_name(name):
        raise ValueError("a line of signatures is not an em dash, a name and a signature")
    value = strict_base64(encoded)
    if len(value) <= _ID_BYTES:
        raise ValueError("a signature is too short")
    return NoteSignature(name, value[:_ID_BYTES], value[_ID_BYTES:])


def is_key_name(name: str) -> bool:
    """Whether a signature's line can name it: not empty, no space, no plus."""
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)


def strict_base64(text: str) -> bytes:
    """What *text* encodes; ValueError where it is not the one canonical text for it."""
    value = base64.b64decode(text.encode("ascii"), validate=True)
    if to_base64(value) != text:
        raise ValueError("base64 is not in its canonical form")
    return value


def to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _listed(note: Note) -> str:
    return ", ".join(f"{one.name} {one.key_id.hex()}" for one in note.signatures)
