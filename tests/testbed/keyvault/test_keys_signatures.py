"""Every algorithm that signs, against the SDK's own computing and against `cryptography` directly.

The SDK encrypts, wraps and verifies in the client where it can read the key. `wrapper` may use keys without reading them:
what it asks for, the vault does.
"""

from __future__ import annotations

import pytest
from azure.keyvault.keys import JsonWebKey, KeyVaultKey
from azure.keyvault.keys.crypto import CryptographyClient, SignatureAlgorithm
from cryptography.hazmat.primitives import hmac
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

from tests.testbed.keyvault.key_clients import Keys
from tests.testbed.keyvault.operations_ground import EC_SIGNATURES, HASHES, RSA_SIGNATURES, digest_for, rsa_public

pytestmark = pytest.mark.without_search


@pytest.mark.parametrize("algorithm", RSA_SIGNATURES)
def test_rsa_signatures_of_the_vault_hold_everywhere(keys, shared, algorithm):
    key, digest, kind = shared("RSA", size=2048), digest_for(algorithm), HASHES[algorithm[2:]]
    signed = keys.crypto(key.id, "wrapper").sign(SignatureAlgorithm(algorithm), digest)
    pad = padding.PKCS1v15() if algorithm.startswith("RS") else padding.PSS(padding.MGF1(kind), len(digest))
    rsa_public(key).verify(signed.signature, digest, pad, utils.Prehashed(kind))
    check_verification(keys, key, SignatureAlgorithm(algorithm), digest, signed.signature)


@pytest.mark.parametrize("algorithm", EC_SIGNATURES)
@pytest.mark.parametrize("kind", ["EC", "EC-HSM"])
def test_ecdsa_signatures_of_the_vault_hold_everywhere(keys, shared, kind, algorithm):
    key, digest = shared(kind, curve=EC_SIGNATURES[algorithm]), digest_for(algorithm)
    signature = keys.crypto(key.id, "wrapper").sign(SignatureAlgorithm(algorithm), digest).signature
    curve = {"P-256": ec.SECP256R1(), "P-256K": ec.SECP256K1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}
    point = ec.EllipticCurvePublicNumbers(
        int.from_bytes(key.key.x), int.from_bytes(key.key.y), curve[EC_SIGNATURES[algorithm]]
    )
    half = len(signature) // 2
    der = utils.encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
    point.public_key().verify(der, digest, ec.ECDSA(utils.Prehashed(HASHES[algorithm[2:5]])))
    check_verification(keys, key, SignatureAlgorithm(algorithm), digest, signature)


def check_verification(
    keys: Keys, key: KeyVaultKey, algorithm: SignatureAlgorithm, digest: bytes, signature: bytes
) -> None:
    """The vault, the SDK by itself and the SDK with the public key alone agree on what holds and what does not."""
    public = CryptographyClient.from_jwk(key.key)
    checks = [keys.crypto(key.id, "wrapper").verify, keys.crypto(key).verify, public.verify]
    for verify in checks:
        assert verify(algorithm, digest, signature).is_valid
        assert not verify(algorithm, bytes(len(digest)), signature).is_valid
        assert not verify(algorithm, digest, signature[:-1] + bytes([signature[-1] ^ 1])).is_valid
    assert not checks[0](algorithm, digest, signature + b"longer").is_valid


@pytest.mark.parametrize("bits", ["256", "384", "512"])
def test_authentication_codes_of_the_vault_are_the_library_s(keys, unused_name, bits):
    secret, digest = bytes(range(32)), digest_for(f"HS{bits}")
    key = keys.import_key(unused_name, JsonWebKey(kty="oct", k=secret))
    there, algorithm = keys.crypto(key.id, "wrapper"), SignatureAlgorithm(f"HS{bits}")
    code = hmac.HMAC(secret, HASHES[bits])
    code.update(digest)
    made = there.sign(algorithm, digest).signature
    assert made == code.finalize()
    assert there.verify(algorithm, digest, made).is_valid
    assert not there.verify(algorithm, digest, bytes(len(made))).is_valid


def test_rsnull_is_in_the_vault_though_no_sdk_names_it(http, rsa_path):
    signed = http.post(f"{rsa_path}/sign", json={"alg": "RSNULL", "value": "YmFyZQ"}).json()
    body = {"alg": "RSNULL", "digest": "YmFyZQ", "value": signed["value"]}
    assert http.post(f"{rsa_path}/verify", json=body).json() == {"value": True}
