"""What operations on keys are tried with: data, algorithms, and the same computed without a vault."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import KeyVaultKey
from azure.keyvault.keys.crypto import EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.testbed.keyvault.key_clients import Keys

DATA_KEY = bytes(range(32))
AAD, IV = b"additional data", bytes(range(16))
RSA_CIPHERS = ["RSA1_5", "RSA-OAEP", "RSA-OAEP-256"]
RSA_SIGNATURES = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
EC_SIGNATURES = {"ES256": "P-256", "ES256K": "P-256K", "ES384": "P-384", "ES512": "P-521"}
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def digest_for(algorithm: str) -> bytes:
    return hashlib.new(f"sha{algorithm[2:5]}", b"what is signed").digest()


def rsa_public(key: KeyVaultKey) -> rsa.RSAPublicKey:
    return rsa.RSAPublicNumbers(int.from_bytes(key.key.e), int.from_bytes(key.key.n)).public_key()


def rsa_padding(algorithm: str) -> Any:
    sha1, sha256 = hashes.SHA1(), hashes.SHA256()  # noqa: S303
    return {
        "RSA1_5": padding.PKCS1v15(),
        "RSA-OAEP": padding.OAEP(padding.MGF1(sha1), sha1, None),
        "RSA-OAEP-256": padding.OAEP(padding.MGF1(sha256), sha256, None),
    }[algorithm]


def refusal(call: Callable[[], Any]) -> tuple[int | None, str | None, str | None, str]:
    with pytest.raises(HttpResponseError) as refused:
        call()
    error = refused.value.error
    assert error is not None
    inner = (error.innererror or {}).get("code")
    return refused.value.status_code, error.code, inner, error.message or ""


def operations(keys: Keys, key: KeyVaultKey) -> dict[str, Callable[[], Any]]:
    """Each operation on *key*, an RSA one, ready to be called in the vault; made while the key still permits all."""
    there, digest = keys.crypto(key.id, "wrapper"), digest_for("RS256")
    ciphertext = there.encrypt(EncryptionAlgorithm.rsa_oaep_256, DATA_KEY).ciphertext
    signature = there.sign(SignatureAlgorithm.rs256, digest).signature
    return {
        "encrypt": lambda: there.encrypt(EncryptionAlgorithm.rsa_oaep_256, DATA_KEY),
        "decrypt": lambda: there.decrypt(EncryptionAlgorithm.rsa_oaep_256, ciphertext),
        "sign": lambda: there.sign(SignatureAlgorithm.rs256, digest),
        "verify": lambda: there.verify(SignatureAlgorithm.rs256, digest, signature),
        "wrapKey": lambda: there.wrap_key(KeyWrapAlgorithm.rsa_oaep_256, DATA_KEY),
        "unwrapKey": lambda: there.unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, ciphertext),
    }
