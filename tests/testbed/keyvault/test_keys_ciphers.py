"""Every algorithm that encrypts or wraps, against the SDK's own computing and against `cryptography` directly.

The SDK encrypts, wraps and verifies in the client where it can read the key. `wrapper` may use keys without reading them:
what it asks for, the vault does.
"""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError
from azure.keyvault.keys import JsonWebKey
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm
from cryptography.hazmat.primitives import keywrap
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from tests.testbed.keyvault.operations_ground import AAD, DATA_KEY, IV, RSA_CIPHERS, rsa_padding, rsa_public

pytestmark = pytest.mark.without_search


@pytest.mark.parametrize("algorithm", RSA_CIPHERS)
@pytest.mark.parametrize(("kind", "size"), [("RSA", 2048), ("RSA-HSM", 3072), ("RSA", 4096)])
def test_what_is_encrypted_anywhere_decrypts_in_the_vault(keys, shared, kind, size, algorithm):
    key = shared(kind, size=size)
    name, there = EncryptionAlgorithm(algorithm), keys.crypto(key.id, "wrapper")
    in_vault = there.encrypt(name, DATA_KEY)
    in_client = keys.crypto(key).encrypt(name, DATA_KEY)
    by_library = rsa_public(key).encrypt(DATA_KEY, rsa_padding(algorithm))
    assert (in_vault.key_id, in_vault.iv, in_vault.tag) == (key.id, None, None)
    for ciphertext in (in_vault.ciphertext, in_client.ciphertext, by_library):
        assert len(ciphertext) == size // 8
        assert there.decrypt(name, ciphertext).plaintext == DATA_KEY


@pytest.mark.parametrize("algorithm", RSA_CIPHERS)
def test_what_is_wrapped_anywhere_unwraps_in_the_vault(keys, shared, algorithm):
    key = shared("RSA", size=3072)
    name, there = KeyWrapAlgorithm(algorithm), keys.crypto(key.id, "wrapper")
    for wrapped in (
        there.wrap_key(name, DATA_KEY).encrypted_key,
        keys.crypto(key).wrap_key(name, DATA_KEY).encrypted_key,
        rsa_public(key).encrypt(DATA_KEY, rsa_padding(algorithm)),
    ):
        unwrapped = there.unwrap_key(name, wrapped)
        assert (unwrapped.key, unwrapped.key_id) == (DATA_KEY, key.id)


@pytest.mark.parametrize("algorithm", RSA_CIPHERS)
def test_what_the_vault_encrypts_the_holder_of_an_imported_key_decrypts(keys, unused_name, algorithm):
    private = rsa.generate_private_key(65537, 2048)
    numbers = private.private_numbers()
    parts = {"n": numbers.public_numbers.n, "e": 65537, "d": numbers.d, "p": numbers.p, "q": numbers.q}
    jwk = JsonWebKey(
        kty="RSA", **{name: value.to_bytes((value.bit_length() + 7) // 8) for name, value in parts.items()}
    )
    key = keys.import_key(unused_name, jwk)
    made = keys.crypto(key.id, "wrapper").encrypt(EncryptionAlgorithm(algorithm), DATA_KEY)
    assert private.decrypt(made.ciphertext, rsa_padding(algorithm)) == DATA_KEY


def test_an_operation_without_a_version_is_the_newest_version_s(keys, unused_name):
    first, second = keys.create_rsa_key(unused_name), keys.create_rsa_key(unused_name)
    client, algorithm = keys.by("wrapper")._target._client, "RSA-OAEP-256"
    direct = keys.by("wrapper")._finish(client.wrap_key(unused_name, "", {"alg": algorithm, "value": "AAAA"}))
    assert direct.kid == second.id
    unwrap = keys.crypto(second.id, "wrapper").unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, direct.result)
    assert unwrap.key == bytes(3)
    with pytest.raises(HttpResponseError):
        keys.crypto(first.id, "wrapper").unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, direct.result)


@pytest.mark.parametrize("size", [128, 192, 256])
def test_symmetric_ciphers_of_the_vault_are_the_library_s(keys, unused_name, size):
    secret = bytes(range(size // 8))
    key = keys.import_key(unused_name, JsonWebKey(kty="oct", k=secret))
    there, value = keys.crypto(key.id, "wrapper"), DATA_KEY + b"odd"

    sealed = there.encrypt(EncryptionAlgorithm(f"A{size}GCM"), value, additional_authenticated_data=AAD)
    assert sealed.aad == AAD
    assert AESGCM(secret).decrypt(sealed.iv, sealed.ciphertext + sealed.tag, AAD) == value
    theirs = AESGCM(secret).encrypt(IV[:12], value, AAD)
    options = {"iv": IV[:12], "authentication_tag": theirs[-16:], "additional_authenticated_data": AAD}
    assert there.decrypt(EncryptionAlgorithm(f"A{size}GCM"), theirs[:-16], **options).plaintext == value

    cbc = there.encrypt(EncryptionAlgorithm(f"A{size}CBC"), DATA_KEY, iv=IV)
    encryptor = Cipher(AES(secret), modes.CBC(IV)).encryptor()
    assert (cbc.ciphertext, cbc.iv) == (encryptor.update(DATA_KEY) + encryptor.finalize(), IV)
    assert there.decrypt(EncryptionAlgorithm(f"A{size}CBC"), cbc.ciphertext, iv=IV).plaintext == DATA_KEY

    wrapped = there.wrap_key(KeyWrapAlgorithm(f"A{size}KW"), DATA_KEY).encrypted_key
    assert wrapped == keywrap.aes_key_wrap(secret, DATA_KEY)
    assert there.unwrap_key(KeyWrapAlgorithm(f"A{size}KW"), wrapped).key == DATA_KEY


@pytest.mark.parametrize("size", [128, 192, 256])
def test_what_the_client_encrypts_under_an_imported_key_the_vault_decrypts_and_back(keys, unused_name, size):
    jwk = JsonWebKey(kty="oct", k=bytes(range(size // 8)), key_ops=["encrypt", "decrypt"])
    key = keys.import_key(unused_name, jwk)
    here, there = CryptographyClient.from_jwk(jwk), keys.crypto(key.id, "wrapper")
    algorithm = EncryptionAlgorithm(f"A{size}CBCPAD")
    local = here.encrypt(algorithm, b"any length", iv=IV)
    assert there.decrypt(algorithm, local.ciphertext, iv=IV).plaintext == b"any length"
    remote = there.encrypt(algorithm, b"any length", iv=IV)
    assert remote.ciphertext == local.ciphertext
    assert here.decrypt(algorithm, remote.ciphertext, iv=IV).plaintext == b"any length"


@pytest.mark.parametrize("algorithm", ["CKM_AES_KEY_WRAP", "CKM_AES_KEY_WRAP_PAD"])
def test_key_wraps_of_pkcs_11_are_the_library_s(keys, unused_name, algorithm):
    secret = bytes(range(32))
    key = keys.import_key(unused_name, JsonWebKey(kty="oct", k=secret))
    there, wrap = keys.crypto(key.id, "wrapper"), keywrap.aes_key_wrap
    value = DATA_KEY
    if algorithm.endswith("PAD"):
        wrap, value = keywrap.aes_key_wrap_with_padding, b"twenty bytes of a key"
    wrapped = there.wrap_key(KeyWrapAlgorithm(algorithm), value).encrypted_key
    assert wrapped == wrap(secret, value)
    assert there.unwrap_key(KeyWrapAlgorithm(algorithm), wrapped).key == value


@pytest.mark.parametrize("count", [1, 32, 128])
def test_random_bytes_come_in_the_number_asked_for(keys, count):
    assert len(keys.get_random_bytes(count)) == count
    if count > 16:
        assert keys.get_random_bytes(count) != keys.get_random_bytes(count)


@pytest.mark.parametrize("count", [0, 129, -1, "16", None, 1.5, True])
def test_no_other_number_of_random_bytes_is_given(http, count):
    answer = http.post("/rng", json={"count": count})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")
