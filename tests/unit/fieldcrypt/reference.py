"""Suite 1 a second time, from docs/fieldcrypt.md alone and on other primitives: it shares no line with the library."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple
from uuid import UUID

from cryptography.hazmat.primitives import constant_time, hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hmac import HMAC


def frame(*parts: bytes) -> bytes:
    return b"".join(struct.pack(">I", len(part)) + part for part in parts)


def mac(key: bytes, message: bytes, algorithm: hashes.HashAlgorithm | None = None) -> bytes:
    context = HMAC(key, algorithm or hashes.SHA512())
    context.update(message)
    return context.finalize()


def hkdf(algorithm: hashes.HashAlgorithm, key: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869."""
    extracted, block, output = mac(salt or bytes(algorithm.digest_size), key, algorithm), b"", b""
    for counter in range(1, -(-length // algorithm.digest_size) + 1):
        block = mac(extracted, block + info + bytes([counter]), algorithm)
        output += block
    return output[:length]


def row(row_id: object) -> bytes:
    match row_id:
        case tuple():
            body = b"t" + b"".join(row(part) for part in row_id)
        case UUID():
            body = b"u" + row_id.bytes
        case bytes():
            body = b"b" + row_id
        case str():
            body = b"s" + row_id.encode("utf-8", "surrogatepass")
        case _:
            body = b"i" + str(row_id).encode()
    return frame(body)


class Spot(NamedTuple):
    """Whose value it is, and where it stands."""

    master: bytes
    key_id: int
    tenant: str
    table: str
    field: str
    row_id: Any = None

    def place(self) -> bytes:
        return frame(self.tenant.encode(), self.table.encode(), self.field.encode())

    def key(self, purpose: bytes) -> bytes:
        names = self.tenant.encode(), struct.pack(">I", self.key_id), self.table.encode(), self.field.encode()
        return hkdf(hashes.SHA512(), self.master, b"", frame(b"steward field key 1", purpose, *names), 32)

    def record(self, header: bytes) -> tuple[bytes, bytes, bytes]:
        """(AES key, commitment, associated data)"""
        bound = b"steward field 1" + header + self.place() + row(self.row_id)
        derived = mac(self.key(b"enc"), bound)
        return derived[:32], derived[32:], bound


def open_envelope(spot: Spot, envelope: bytes) -> tuple[int, bytes]:
    """(kind, plaintext)"""
    header, commitment, body, tag = envelope[:22], envelope[22:54], envelope[54:-16], envelope[-16:]
    assert (header[0], header[1] & 0x0F, struct.unpack(">I", header[2:6])[0]) == (1, 1, spot.key_id)
    key, expected, bound = spot.record(header)
    assert constant_time.bytes_eq(commitment, expected)
    decryptor = Cipher(algorithms.AES(key), modes.GCM(bytes(12), tag)).decryptor()
    decryptor.authenticate_additional_data(bound)
    return header[1] >> 4, decryptor.update(body) + decryptor.finalize()


def make_envelope(spot: Spot, kind: int, plaintext: bytes, salt: bytes = bytes(16)) -> bytes:
    header = bytes([1, kind * 16 + 1]) + struct.pack(">I", spot.key_id) + salt
    key, commitment, bound = spot.record(header)
    encryptor = Cipher(algorithms.AES(key), modes.GCM(bytes(12))).encryptor()
    encryptor.authenticate_additional_data(bound)
    body = encryptor.update(plaintext) + encryptor.finalize()
    return header + commitment + body + encryptor.tag


def blind_index(spot: Spot, kind: int, canonical: bytes) -> bytes:
    return struct.pack(">I", spot.key_id) + mac(spot.key(b"blind"), bytes([kind]) + canonical, hashes.SHA256())[:16]
