"""Keys that sign and verify evidence, behind securesystemslib's Signer and Key.

A signer is a file's Ed25519 key today; a key vault's EC P-256 key signs through the same interface. A key's id is the
SHA-256 of its public half as DER SubjectPublicKeyInfo, in lower-case hex, so that anyone can compute it:
`openssl pkey -pubin -in public.pem -outform DER | sha256sum`.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from steward.evidence.errors import UnusableKey
from steward.settings import Settings

if TYPE_CHECKING:
    from securesystemslib.signer import Key, Signer, SSlibKey  # pyright: ignore[reportPrivateImportUsage]  # documented names, not re-exported


def open_signer(settings: Settings) -> Signer:
    """The signer that settings name. UnusableKey where its public half is not the one that auditors are given."""
    # Here, because an auditor who verifies needs none of the clients.
    from securesystemslib.signer import CryptoSigner  # noqa: PLC0415  # pyright: ignore[reportPrivateImportUsage]  # as below

    from steward.clients.secrets import read_secret  # noqa: PLC0415 # the reason stands above

    private = _private_key(read_secret(settings.evidence.signing_key, settings.vault))
    public = verifying_key(private.public_key())
    published = load_public_key(settings.evidence.public_key)
    if published.keyid != public.keyid:
        raise UnusableKey(
            f"the signing key's public half is {public.keyid}, the published one is {published.keyid}",
            hint=f"put the signing key's public half into {settings.evidence.public_key}, and keep the old one for auditors",
        )
    return CryptoSigner(private, public)


def load_public_key(path: Path) -> Key:
    """The public key in the PEM file *path*: Ed25519 or EC P-256."""
    try:
        return parse_public_key(path.read_bytes())
    except OSError as error:
        raise UnusableKey(f"cannot read public key {path}: {error.strerror}", hint="check its path and mode") from None
    except UnusableKey as error:
        raise UnusableKey(f"{path}: {error.message}", hint=error.hint) from None


def parse_public_key(pem: bytes) -> Key:
    """The public key that *pem* holds."""
    try:
        return verifying_key(load_pem_public_key(pem))
    except (ValueError, UnsupportedAlgorithm):
        # What was given is not echoed: it may be the private half.
        raise UnusableKey(
            "no public key in PEM (SubjectPublicKeyInfo)",
            hint="give the public half: a file that begins with -----BEGIN PUBLIC KEY-----",
        ) from None


def verifying_key(public: PublicKeyTypes) -> SSlibKey:
    """*public* with its key id; UnusableKey names a kind that evidence is not signed with."""
    p256 = isinstance(public, EllipticCurvePublicKey) and isinstance(public.curve, SECP256R1)
    if not isinstance(public, Ed25519PublicKey) and not p256:
        raise UnusableKey(f"a key of kind {type(public).__name__}", hint="evidence is signed with Ed25519 or EC P-256")
    # Here, because it brings every cloud's client along, half a second of them: who neither signs nor verifies waits for none.
    from securesystemslib.signer import SSlibKey  # noqa: PLC0415  # pyright: ignore[reportPrivateImportUsage]  # documented, not re-exported

    return SSlibKey.from_crypto(public, keyid=key_id(public))


def key_id(public: PublicKeyTypes) -> str:
    """SHA-256 of the DER SubjectPublicKeyInfo, lower-case hex."""
    return hashlib.sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _private_key(pem: str) -> Ed25519PrivateKey:
    # No cause is chained and nothing of the text is told: this is the secret itself.
    try:
        private = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnusableKey(
            "the signing key is no unencrypted private key in PEM",
            hint="make one: openssl genpkey -algorithm ed25519",
        ) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise UnusableKey(
            "the signing key in the file is not Ed25519", hint="make one: openssl genpkey -algorithm ed25519"
        )
    return private
