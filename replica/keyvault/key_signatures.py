"""Sign and verify digests by the algorithms of `replica.keyvault.algorithms`.

ECDSA signatures are the fixed-width `r ‖ s` of RFC 7518, not DER. The salt of PS* is as long as its hash (RFC 7518).
HS* is an HMAC over the value itself; RSNULL is PKCS #1 v1.5 without DigestInfo.
"""

from __future__ import annotations

from typing import cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hmac
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    NoDigestInfo,
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import HashAlgorithm

from replica.keyvault.algorithms import Scheme, Signature
from replica.keyvault.errors import bad_parameter
from replica.keyvault.jwk import KeyMaterial


def sign(material: KeyMaterial, algorithm: Signature, digest: bytes) -> bytes:
    """*digest* has the length that `check_digest` demands. Raises a refusal (400) for a value too long for RSNULL."""
    match material.private:
        case rsa.RSAPrivateKey() as private:
            return _rsa_sign(private, algorithm, digest)
        case ec.EllipticCurvePrivateKey() as private:
            r, s = decode_dss_signature(private.sign(digest, ec.ECDSA(Prehashed(_hash(algorithm)))))
            width = _width(private)
            return r.to_bytes(width) + s.to_bytes(width)
        case key:
            return _hmac(key, algorithm, digest).finalize()


def verify(material: KeyMaterial, algorithm: Signature, digest: bytes, signature: bytes) -> bool:
    """Whether *signature* is this key's over *digest*; a signature of no possible shape is simply not."""
    try:
        match material.private:
            case rsa.RSAPrivateKey() as private:
                private.public_key().verify(signature, digest, _padding(algorithm), _prehashed(algorithm))
            case ec.EllipticCurvePrivateKey() as private:
                der = _der(signature, _width(private))
                private.public_key().verify(der, digest, ec.ECDSA(Prehashed(_hash(algorithm))))
            case key:
                _hmac(key, algorithm, digest).verify(signature)
    except InvalidSignature:
        return False
    return True


def _rsa_sign(private: rsa.RSAPrivateKey, algorithm: Signature, digest: bytes) -> bytes:
    try:
        return private.sign(digest, _padding(algorithm), _prehashed(algorithm))
    except ValueError:
        raise bad_parameter(
            f"The value of {len(digest)} bytes is too long for {algorithm.name} with a key of {private.key_size} bits."
        ) from None


def _padding(algorithm: Signature) -> padding.AsymmetricPadding:
    if algorithm.scheme is not Scheme.PSS:
        return padding.PKCS1v15()
    digest = _hash(algorithm)
    return padding.PSS(padding.MGF1(digest), digest.digest_size)


def _prehashed(algorithm: Signature) -> Prehashed:
    if algorithm.scheme is Scheme.PKCS1_BARE:
        # The library takes it for signing and verifying; its types know of signing only.
        return cast("Prehashed", NoDigestInfo())
    return Prehashed(_hash(algorithm))


def _hash(algorithm: Signature) -> HashAlgorithm:
    if algorithm.digest is None:
        raise TypeError(f"{algorithm.name} has no hash")
    return algorithm.digest


def _hmac(key: bytes, algorithm: Signature, value: bytes) -> hmac.HMAC:
    made = hmac.HMAC(key, _hash(algorithm))
    made.update(value)
    return made


def _width(private: ec.EllipticCurvePrivateKey) -> int:
    return (private.key_size + 7) // 8


def _der(signature: bytes, width: int) -> bytes:
    if len(signature) != 2 * width:
        raise InvalidSignature
    return encode_dss_signature(int.from_bytes(signature[:width]), int.from_bytes(signature[width:]))
