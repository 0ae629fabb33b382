"""Each rival as its own documentation has it, with its keys in memory: no key service is asked while it is timed.

Where a rival has a choice, it gets the faster one.
"""
# What the environment that types are checked in must not hold.
# pyright: reportMissingImports=false, reportUnknownParameterType=false

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.metadata import version

import tink
from aws_encryption_sdk import CachingCryptoMaterialsManager, EncryptionSDKClient, LocalCryptoMaterialsCache
from aws_encryption_sdk.identifiers import Algorithm, EncryptionKeyType, WrappingAlgorithm
from aws_encryption_sdk.internal.crypto.wrapping_keys import WrappingKey
from aws_encryption_sdk.key_providers.raw import RawMasterKey
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tink import aead

from bench.fieldcrypt_loops import ROWS, Contender, Row

VERSIONS = {name: version(name) for name in ("cryptography", "tink", "aws-encryption-sdk")}


def raw_aesgcm() -> Contender:
    """AES-256-GCM with one key for all, a random nonce before the ciphertext: the floor. It commits to nothing."""
    cipher = AESGCM(AESGCM.generate_key(256))

    def encrypt(row: Row) -> bytes:
        nonce = os.urandom(12)
        return nonce + cipher.encrypt(nonce, row.value, row.associated)

    def decrypt(row: Row, ciphertext: bytes) -> bytes:
        return cipher.decrypt(ciphertext[:12], ciphertext[12:], row.associated)

    return Contender(encrypt, decrypt)


def tink_aead() -> Contender:
    """Tink's AES256_GCM, one key for all. It does not commit to its key."""
    aead.register()
    primitive = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM).primitive(aead.Aead)
    return Contender(
        lambda row: primitive.encrypt(row.value, row.associated),
        lambda row, ciphertext: primitive.decrypt(ciphertext, row.associated),
    )


def fernet() -> Contender:
    """Fernet, one key for all. It has no associated data: a value moves to another row unnoticed."""
    cipher = Fernet(Fernet.generate_key())
    return Contender(lambda row: cipher.encrypt(row.value), lambda _, ciphertext: cipher.decrypt(ciphertext))


def aws_esdk() -> Contender:
    """The AWS Encryption SDK, a data key for each value: what rows that were never seen before cost."""
    return _aws({"key_provider": _master_key()})


def aws_esdk_cached() -> Contender:
    """The same with all its data keys in its cache, one a row, for the row's place is part of the cache's key."""
    cache = LocalCryptoMaterialsCache(capacity=4 * ROWS)
    return _aws(
        {
            "materials_manager": CachingCryptoMaterialsManager(
                master_key_provider=_master_key(), cache=cache, max_age=3600.0
            )
        }
    )


def _aws(materials: dict[str, object]) -> Contender:
    # Committing, as ours is, without the ECDSA signature that the default adds and that costs a millisecond.
    algorithm = Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY
    client = EncryptionSDKClient()

    def encrypt(row: Row) -> bytes:
        ciphertext, _ = client.encrypt(
            source=row.value, encryption_context=row.context, algorithm=algorithm, **materials
        )
        return ciphertext

    def decrypt(row: Row, ciphertext: bytes) -> bytes:
        plaintext, header = client.decrypt(source=ciphertext, **materials)
        # The SDK leaves this comparison to the application.
        assert header.encryption_context == row.context, "the context is not the row's"
        return plaintext

    return Contender(encrypt, decrypt)


def _master_key() -> RawMasterKey:
    wrapping = WrappingKey(
        wrapping_algorithm=WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING,
        wrapping_key=os.urandom(32),
        wrapping_key_type=EncryptionKeyType.SYMMETRIC,
    )
    return RawMasterKey(key_id="bench", provider_id="bench", wrapping_key=wrapping)


CONTENDERS: dict[str, Callable[[], Contender]] = {
    "raw_aesgcm": raw_aesgcm,
    "tink": tink_aead,
    "fernet": fernet,
    "aws_esdk_cached": aws_esdk_cached,
    "aws_esdk": aws_esdk,
}
