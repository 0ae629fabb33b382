"""The ciphertext of one field, 70 bytes longer than its plaintext.

    version 1 ‖ suite 1 ‖ key id 4 ‖ salt 16 ‖ commitment 32 ‖ ciphertext ‖ tag 16

Suite byte: lower half the suite, upper half the kind of value (values.py). Suite 1: with

    bound = "steward field 1" ‖ version ‖ suite ‖ key id ‖ salt ‖ framed(tenant, table, field) ‖ framed(row id)

HMAC-SHA512(field key, bound) gives an AES-256-GCM key (first half), used once and therefore with a zero nonce, and the
commitment (second half). `bound` is the associated data too. So a ciphertext commits to its key and to its place: one
that was moved fails at the commitment, before anything is decrypted, and one whose bytes were changed fails at the tag.
A key per record lifts the bound of 2³² random nonces that AES-GCM has; no length is hidden. docs/fieldcrypt.md says
more; `tests/golden` holds ciphertexts that must be decryptable for ever.
"""

from __future__ import annotations

import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from steward.fieldcrypt.errors import (
    CiphertextMoved,
    CiphertextOverlong,
    CiphertextRefused,
    CiphertextTampered,
    CiphertextTruncated,
    UnknownSuite,
    ValueNotSupported,
)
from steward.fieldcrypt.keyset import FieldKey
from steward.fieldcrypt.values import KINDS, MOST_BYTES

VERSION = 1
SUITE = 1
HEADER = 22
COMMITMENT = 32
TAG = 16
OVERHEAD = HEADER + COMMITMENT + TAG
LONGEST = OVERHEAD + MOST_BYTES

_MOST_VERSIONS = 32  # below every printable character
_BODY = HEADER + COMMITMENT
_LABEL = b"steward field 1"
_NONCE = bytes(12)
_STARTS = tuple(bytes([VERSION, kind << 4 | SUITE]) for kind in range(KINDS))
_KINDS = {start: kind for kind, start in enumerate(_STARTS)}


def seal(key: FieldKey, row: bytes, kind: int, plaintext: bytes) -> bytes:
    """The envelope of *plaintext* for the row framed as *row*."""
    header = _STARTS[kind] + key.key_id + os.urandom(16)
    bound = _LABEL + header + key.place + row
    derived = key.hmac(bound)
    return header + derived[32:] + AESGCM(derived[:32]).encrypt(_NONCE, plaintext, bound)


def read(ciphertext: object) -> tuple[int, int, bytes]:
    """(kind of value, key id, ciphertext) of what a driver returned for a column; not authenticated yet.

    Raises UnknownSuite, CiphertextTruncated, CiphertextOverlong; ValueNotSupported for what is no bytes.
    """
    sealed = ciphertext if isinstance(ciphertext, bytes) else _as_bytes(ciphertext)
    kind = _KINDS.get(sealed[:2])
    if kind is None or not OVERHEAD <= len(sealed) <= LONGEST:
        raise _unreadable(sealed)
    return kind, int.from_bytes(sealed[2:6], "big"), sealed


def open_sealed(key: FieldKey, row: bytes, ciphertext: bytes) -> bytes:
    """The plaintext, if *ciphertext* was sealed with *key* for *row*. CiphertextMoved, CiphertextTampered."""
    bound = _LABEL + ciphertext[:HEADER] + key.place + row
    derived = key.hmac(bound)
    if not hmac.compare_digest(derived[32:], ciphertext[HEADER:_BODY]):
        raise _moved_or_damaged(derived[:32], bound, ciphertext)
    try:
        return AESGCM(derived[:32]).decrypt(_NONCE, ciphertext[_BODY:], bound)
    except InvalidTag:
        raise _tampered() from None


def _as_bytes(ciphertext: object) -> bytes:
    if isinstance(ciphertext, bytearray | memoryview):
        return bytes(ciphertext)
    raise ValueNotSupported(
        f"a ciphertext of type {type(ciphertext).__name__}, expected bytes",
        hint="keep it in a column of bytes (bytea, LargeBinary), untouched",
    )


def _unreadable(ciphertext: bytes) -> CiphertextRefused:
    if len(ciphertext) >= len(_STARTS[0]) and ciphertext[:2] not in _KINDS:
        # Shown only where they can be a version and a suite: what was never encrypted may stand in the column too.
        start = ciphertext[:2].hex() if ciphertext[0] < _MOST_VERSIONS else "no version of this format"
        return UnknownSuite(
            f"a ciphertext that begins with {start}: version, suite or kind unknown to this release",
            hint="it is no ciphertext, or a newer release wrote it: upgrade readers before writers",
        )
    if len(ciphertext) < OVERHEAD:
        return CiphertextTruncated(
            f"a ciphertext of {len(ciphertext)} bytes, expected at least {OVERHEAD}",
            hint="see whether the column is wide enough, and whether these bytes are a ciphertext at all",
        )
    return CiphertextOverlong(
        f"a ciphertext of {len(ciphertext)} bytes, expected at most {LONGEST}",
        hint="nothing here writes so much into one field: restore the value from a backup",
    )


def _moved_or_damaged(record_key: bytes, bound: bytes, ciphertext: bytes) -> CiphertextMoved | CiphertextTampered:
    """Only to name the fault: where the rest is authentic, it is the commitment that was damaged."""
    try:
        AESGCM(record_key).decrypt(_NONCE, ciphertext[_BODY:], bound)
    except InvalidTag:
        return CiphertextMoved(
            "the ciphertext was made for another table, field or row of this tenant, or its header is damaged",
            hint="compare where it stands with where it was written; a row id's type counts (7 is not '7')",
        )
    return _tampered()


def _tampered() -> CiphertextTampered:
    return CiphertextTampered(
        "the ciphertext belongs here, but its bytes are not those that were written: changed, cut or extended",
        hint="restore this value from a backup, and find out what writes to this column",
    )
