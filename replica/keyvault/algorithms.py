"""The contract's algorithms: which keys each one fits, and the refusal where it does not.

Names and requirements are those of "Key types, algorithms, and operations" for Key Vault and, for symmetric keys, for
Managed HSM: a cipher's size is the key's size, a curve has one signature algorithm, a digest has its hash's length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives import hashes

from replica.keyvault.errors import bad_parameter
from replica.keyvault.jwk import KeyMaterial


class Mode(StrEnum):
    """How a cipher works; decides which of iv, aad and tag belong to it."""

    RSA1_5 = "RSA1_5"
    OAEP = "OAEP"
    GCM = "GCM"
    CBC = "CBC"
    CBCPAD = "CBCPAD"
    KW = "KW"
    KW_PAD = "KW_PAD"


class Scheme(StrEnum):
    PKCS1 = "PKCS1"
    PKCS1_BARE = "PKCS1_BARE"
    PSS = "PSS"
    ECDSA = "ECDSA"
    HMAC = "HMAC"


@dataclass(frozen=True, slots=True)
class Cipher:
    name: str
    family: str
    mode: Mode
    size: int | None = None
    """Of the key, in bits; None: any of the family's."""
    digest: hashes.HashAlgorithm | None = None
    wraps_only: bool = False


@dataclass(frozen=True, slots=True)
class Signature:
    name: str
    family: str
    scheme: Scheme
    digest: hashes.HashAlgorithm | None = None
    """None: what is signed has no fixed length."""
    curve: str | None = None


def _aes(mode: Mode, *, wraps_only: bool = False) -> list[Cipher]:
    return [Cipher(f"A{size}{mode}", "oct", mode, size, wraps_only=wraps_only) for size in (128, 192, 256)]


_SHA2 = {256: hashes.SHA256(), 384: hashes.SHA384(), 512: hashes.SHA512()}

CIPHERS: Mapping[str, Cipher] = {
    cipher.name: cipher
    for cipher in (
        Cipher("RSA1_5", "RSA", Mode.RSA1_5),
        # The contract's own: RFC 3447's defaults, kept for what was encrypted long ago.
        Cipher("RSA-OAEP", "RSA", Mode.OAEP, digest=hashes.SHA1()),  # noqa: S303
        Cipher("RSA-OAEP-256", "RSA", Mode.OAEP, digest=hashes.SHA256()),
        *_aes(Mode.GCM),
        *_aes(Mode.CBC),
        *_aes(Mode.CBCPAD),
        *_aes(Mode.KW, wraps_only=True),
        Cipher("CKM_AES_KEY_WRAP", "oct", Mode.KW, wraps_only=True),
        Cipher("CKM_AES_KEY_WRAP_PAD", "oct", Mode.KW_PAD, wraps_only=True),
    )
}

SIGNATURES: Mapping[str, Signature] = {
    signature.name: signature
    for signature in (
        *(Signature(f"RS{bits}", "RSA", Scheme.PKCS1, digest) for bits, digest in _SHA2.items()),
        *(Signature(f"PS{bits}", "RSA", Scheme.PSS, digest) for bits, digest in _SHA2.items()),
        *(Signature(f"HS{bits}", "oct", Scheme.HMAC, digest) for bits, digest in _SHA2.items()),
        Signature("RSNULL", "RSA", Scheme.PKCS1_BARE),
        Signature("ES256", "EC", Scheme.ECDSA, hashes.SHA256(), "P-256"),
        Signature("ES256K", "EC", Scheme.ECDSA, hashes.SHA256(), "P-256K"),
        Signature("ES384", "EC", Scheme.ECDSA, hashes.SHA384(), "P-384"),
        Signature("ES512", "EC", Scheme.ECDSA, hashes.SHA512(), "P-521"),
    )
}


def cipher(name: object, material: KeyMaterial, kid: str, *, wrapping: bool) -> Cipher:
    """The cipher *name* where it fits the key *kid*. Raises a refusal (400 BadParameter) where it does not."""
    found = CIPHERS.get(str(name))
    if found is None or (found.wraps_only and not wrapping):
        raise bad_parameter("Property alg has invalid value.")
    if found.family != material.family:
        raise _incompatible(
            "encryption", kid, f"is of type '{material.kty}'", found.name, f"keys of type '{found.family}'"
        )
    if found.size not in (None, material.size):
        raise _incompatible("encryption", kid, f"has {material.size} bits", found.name, f"keys of {found.size} bits")
    return found


def signature(name: object, material: KeyMaterial, kid: str) -> Signature:
    """The signature algorithm *name* where it fits the key *kid*. Raises a refusal (400) where it does not."""
    found = SIGNATURES.get(str(name))
    if found is None:
        raise bad_parameter("Property alg has invalid value.")
    if found.family != material.family:
        raise _incompatible(
            "signing", kid, f"is of type '{material.kty}'", found.name, f"keys of type '{found.family}'"
        )
    if found.curve != material.curve:
        raise _incompatible("signing", kid, f"uses curve '{material.curve}'", found.name, f"curve '{found.curve}'")
    return found


def check_digest(algorithm: Signature, digest: bytes, name: str) -> None:
    """Raises a refusal (400) unless *digest*, the request's member *name*, has the length of the algorithm's hash."""
    # An HMAC makes its own hash; RSNULL has none.
    if algorithm.digest is None or algorithm.scheme is Scheme.HMAC or len(digest) == algorithm.digest.digest_size:
        return
    raise bad_parameter(
        f"Invalid length of '{name}': {len(digest)} bytes. {algorithm.name} requires {algorithm.digest.digest_size}"
        " bytes, encoded with base64url."
    )


def _incompatible(kind: str, kid: str, has: str, name: str, needs: str) -> Exception:
    return bad_parameter(
        f"Key and {kind} algorithm are incompatible. Key {kid} {has}, and algorithm '{name}' can only be used with"
        f" {needs}."
    )
