"""Encrypt and decrypt, which are wrap and unwrap too, by the algorithms of `replica.keyvault.algorithms`.

What cannot be decrypted is refused in one way whatever was amiss: no answer tells padding from tag from length.
RSA1_5 goes further, as OpenSSL does it: a ciphertext of right length and bad padding yields bytes made from it and the
key ("implicit rejection"), since a refusal alone would be Bleichenbacher's oracle.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.ciphers import Cipher as BlockCipher
from cryptography.hazmat.primitives.ciphers import modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.padding import PKCS7

from replica.keyvault.algorithms import Cipher, Mode
from replica.keyvault.errors import Refusal, bad_parameter
from replica.keyvault.jwk import KeyMaterial

_BLOCK = 16
_NONCE = 12
_TAG = 16


@dataclass(frozen=True, slots=True)
class Sealed:
    """A ciphertext and what is needed beside the key to open it."""

    value: bytes
    iv: bytes | None = None
    tag: bytes | None = None
    aad: bytes | None = None


def encrypt(material: KeyMaterial, cipher: Cipher, plaintext: bytes, iv: bytes | None, aad: bytes | None) -> Sealed:
    """Raises a refusal (400) for a plaintext too long or of a wrong length, and for an iv of a wrong one.

    A*GCM takes no iv from the caller: two encryptions under one would give both away, and the key's authenticator.
    """
    if isinstance(material.private, rsa.RSAPrivateKey):
        return Sealed(_rsa_encrypt(material.private, cipher, plaintext))
    key = _symmetric(material)
    match cipher.mode:
        case Mode.GCM:
            if iv is not None:
                raise bad_parameter(f"Property iv must not be given for {cipher.name}: the vault makes it.")
            return _gcm_encrypt(key, plaintext, aad)
        case Mode.CBC | Mode.CBCPAD:
            used = _checked_iv(iv, _BLOCK) if iv is not None else secrets.token_bytes(_BLOCK)
            return Sealed(_cbc_encrypt(key, cipher, plaintext, used), used)
        case _:
            return Sealed(_wrap(key, cipher, plaintext))


def decrypt(material: KeyMaterial, cipher: Cipher, sealed: Sealed) -> bytes:
    """Raises one and the same refusal (400) for everything that does not decrypt."""
    try:
        if isinstance(material.private, rsa.RSAPrivateKey):
            return material.private.decrypt(sealed.value, _rsa_padding(cipher))
        return _symmetric_decrypt(_symmetric(material), cipher, sealed)
    except (ValueError, InvalidTag, keywrap.InvalidUnwrap):
        raise undecryptable() from None


def undecryptable() -> Refusal:
    return bad_parameter("The parameter is incorrect.")


def _rsa_encrypt(private: rsa.RSAPrivateKey, cipher: Cipher, plaintext: bytes) -> bytes:
    try:
        return private.public_key().encrypt(plaintext, _rsa_padding(cipher))
    except ValueError:
        raise bad_parameter(
            f"The value of {len(plaintext)} bytes is too long for {cipher.name} with a key of {private.key_size} bits."
        ) from None


def _rsa_padding(cipher: Cipher) -> padding.AsymmetricPadding:
    if cipher.digest is None:
        return padding.PKCS1v15()
    return padding.OAEP(padding.MGF1(cipher.digest), cipher.digest, None)


def _symmetric(material: KeyMaterial) -> bytes:
    if not isinstance(material.private, bytes):
        raise TypeError(f"a symmetric key was expected, {material.kty} came")
    return material.private


def _gcm_encrypt(key: bytes, plaintext: bytes, aad: bytes | None) -> Sealed:
    iv = secrets.token_bytes(_NONCE)
    whole = AESGCM(key).encrypt(iv, plaintext, aad)
    return Sealed(whole[:-_TAG], iv, whole[-_TAG:], aad)


def _cbc_encrypt(key: bytes, cipher: Cipher, plaintext: bytes, iv: bytes) -> bytes:
    if cipher.mode is Mode.CBCPAD:
        padder = PKCS7(_BLOCK * 8).padder()
        plaintext = padder.update(plaintext) + padder.finalize()
    elif not plaintext or len(plaintext) % _BLOCK:
        raise bad_parameter(f"{cipher.name} needs a value whose length is a multiple of {_BLOCK} bytes.")
    encryptor = BlockCipher(AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(plaintext) + encryptor.finalize()


def _wrap(key: bytes, cipher: Cipher, plaintext: bytes) -> bytes:
    try:
        if cipher.mode is Mode.KW_PAD:
            return keywrap.aes_key_wrap_with_padding(key, plaintext)
        return keywrap.aes_key_wrap(key, plaintext)
    except ValueError:
        raise bad_parameter(
            f"{cipher.name} cannot wrap a value of {len(plaintext)} bytes: a multiple of 8, at least 16, is needed."
        ) from None


def _symmetric_decrypt(key: bytes, cipher: Cipher, sealed: Sealed) -> bytes:
    match cipher.mode:
        case Mode.GCM:
            iv, tag = _checked_iv(sealed.iv, _NONCE), sealed.tag
            if tag is None:
                raise bad_parameter(f"Property tag is missing: {cipher.name} needs it.")
            # A shorter tag would be truncated authentication: far easier to forge.
            if len(tag) != _TAG:
                raise undecryptable()
            return AESGCM(key).decrypt(iv, sealed.value + tag, sealed.aad)
        case Mode.CBC | Mode.CBCPAD:
            return _cbc_decrypt(key, cipher, sealed.value, _checked_iv(sealed.iv, _BLOCK))
        case Mode.KW_PAD:
            return keywrap.aes_key_unwrap_with_padding(key, sealed.value)
        case _:
            return keywrap.aes_key_unwrap(key, sealed.value)


def _cbc_decrypt(key: bytes, cipher: Cipher, ciphertext: bytes, iv: bytes) -> bytes:
    if not ciphertext:
        raise undecryptable()
    decryptor = BlockCipher(AES(key), modes.CBC(iv)).decryptor()
    padded = decryptor.update(ciphertext) + decryptor.finalize()
    if cipher.mode is Mode.CBC:
        return padded
    unpadder = PKCS7(_BLOCK * 8).unpadder()
    return unpadder.update(padded) + unpadder.finalize()


def _checked_iv(iv: bytes | None, length: int) -> bytes:
    if iv is None:
        raise bad_parameter("Property iv is missing: the algorithm needs it.")
    if len(iv) != length:
        raise bad_parameter(f"Property iv has {len(iv)} bytes; the algorithm needs {length}.")
    return iv
