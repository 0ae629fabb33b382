"""Every algorithm of the contract in the vault, against the SDK's own computing and against `cryptography` directly.

The SDK encrypts, wraps and verifies in the client where it can read the key. `wrapper` may use keys without reading them:
what it asks for, the vault does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.keyvault.keys import JsonWebKey, KeyVaultKey
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from cryptography.hazmat.primitives import hashes, hmac, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES

from tests.testbed.keyvault.conftest import TestVault
from tests.testbed.keyvault.key_clients import Keys, open_keys

pytestmark = pytest.mark.without_search

DATA_KEY = bytes(range(32))
AAD, IV = b"additional data", bytes(range(16))
RSA_CIPHERS = ["RSA1_5", "RSA-OAEP", "RSA-OAEP-256"]
RSA_SIGNATURES = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]
EC_SIGNATURES = {"ES256": "P-256", "ES256K": "P-256K", "ES384": "P-384", "ES512": "P-521"}
HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


@pytest.fixture(scope="module", params=["sync", "aio"])
def keys(request: pytest.FixtureRequest, vault: TestVault) -> Generator[Keys]:
    with open_keys(vault, request.param) as opened:
        yield opened


@pytest.fixture(scope="module")
def made() -> dict[str, KeyVaultKey]:
    """By kind. Of both SDKs, for they are the vault's: a large one takes a second to make."""
    return {}


@pytest.fixture(scope="module")
def shared(keys: Keys, made: dict[str, KeyVaultKey]) -> Callable[..., KeyVaultKey]:
    """A key of a kind, one for the module's tests that only use it."""

    def obtain(kind: str, **options: Any) -> KeyVaultKey:
        wanted = f"{kind} {options}"
        if wanted not in made:
            made[wanted] = keys.create_key(f"shared-{uuid4().hex}", kind, **options)
        return made[wanted]

    return obtain


@pytest.fixture(scope="module")
def http(vault: TestVault) -> Generator[httpx.Client]:
    with vault.http(vault.token()) as client:
        yield client


@pytest.fixture(scope="module")
def rsa_path(http: httpx.Client) -> str:
    """Where an RSA key is."""
    path = f"/keys/plain-{uuid4().hex}"
    http.post(f"{path}/create", json={"kty": "RSA"})
    return path


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


# RSA: encrypt, wrap


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


# Symmetric


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


# Sign, verify


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


# What a key permits


@pytest.fixture(scope="module")
def limited(keys: Keys) -> tuple[str, dict[str, Callable[[], Any]]]:
    """The name of a key whose operations tests change, and those on it."""
    key = keys.create_rsa_key(f"limited-{uuid4().hex}")
    return key.name, operations(keys, key)


@pytest.mark.parametrize("allowed", ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"])
def test_a_key_does_what_its_operations_permit_and_nothing_else(keys, limited, allowed):
    name, calls = limited
    keys.update_key_properties(name, key_operations=[allowed])
    for operation, call in calls.items():
        if operation == allowed:
            call()
        else:
            message = f"Operation {operation} is not permitted on this key."
            assert refusal(call) == (403, "Forbidden", "KeyOperationForbidden", message)


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


def test_a_disabled_key_does_nothing_and_works_again_when_enabled(keys, unused_name):
    calls = operations(keys, keys.create_rsa_key(unused_name))
    keys.update_key_properties(unused_name, enabled=False)
    for operation, call in calls.items():
        message = f"Operation {operation} is not allowed on a disabled key."
        assert refusal(call) == (403, "Forbidden", "KeyDisabled", message)
    assert keys.get_key(unused_name).properties.enabled is False
    keys.update_key_properties(unused_name, enabled=True)
    for call in calls.values():
        call()


@pytest.mark.parametrize(
    ("times", "inner"),
    [
        ({"expires_on": timedelta(minutes=-1)}, "KeyExpired"),
        ({"not_before": timedelta(hours=1)}, "KeyNotYetValid"),
    ],
)
def test_a_key_outside_its_time_protects_nothing_new_and_still_opens_what_it_protected(keys, unused_name, times, inner):
    calls = operations(keys, keys.create_rsa_key(unused_name))
    now = datetime.now(UTC).replace(microsecond=0)
    keys.update_key_properties(unused_name, **{name: now + later for name, later in times.items()})
    for operation in ("encrypt", "wrapKey", "sign"):
        assert refusal(calls[operation])[:3] == (403, "Forbidden", inner)
    for operation in ("decrypt", "unwrapKey", "verify"):
        calls[operation]()


def test_an_unknown_key_or_version_does_nothing(keys, vault, shared, unused_name):
    key = shared("RSA", size=2048)
    for kid in (f"{vault.url}/keys/{unused_name}/{'0' * 32}", f"{vault.url}/keys/{key.name}/{'0' * 32}"):
        with pytest.raises(ResourceNotFoundError):
            keys.crypto(kid, "wrapper").unwrap_key(KeyWrapAlgorithm.rsa_oaep_256, bytes(256))


# Bad input


@pytest.mark.parametrize(
    ("wanted", "algorithm", "tells"),
    [
        ({"kind": "EC", "curve": "P-256"}, KeyWrapAlgorithm.rsa_oaep_256, "'RSA-OAEP-256' can only be used with"),
        ({"kind": "oct", "size": 256}, KeyWrapAlgorithm.rsa_oaep, "is of type 'oct'"),
        ({"kind": "oct", "size": 256}, KeyWrapAlgorithm.aes_128, "has 256 bits"),
        ({"kind": "RSA", "size": 2048}, KeyWrapAlgorithm.aes_256, "is of type 'RSA'"),
        ({"kind": "RSA", "size": 2048}, SignatureAlgorithm.es256, "'ES256' can only be used with"),
        ({"kind": "EC", "curve": "P-256K"}, SignatureAlgorithm.es256, "uses curve 'P-256K', and algorithm 'ES256' can"),
        ({"kind": "EC", "curve": "P-256"}, SignatureAlgorithm.rs256, "is of type 'EC'"),
    ],
)
def test_an_algorithm_for_other_keys_is_refused(keys, shared, wanted, algorithm, tells):
    key = shared(key_operations=["sign", "wrapKey"], **wanted)
    there = keys.crypto(key.id, "wrapper")
    operation = there.sign if isinstance(algorithm, SignatureAlgorithm) else there.wrap_key
    status, code, _, message = refusal(lambda: operation(algorithm, DATA_KEY))
    assert (status, code) == (400, "BadParameter")
    assert tells in message


@pytest.mark.parametrize(("algorithm", "length"), [("RS256", 20), ("PS384", 32), ("RS512", 0)])
def test_a_digest_of_another_length_is_neither_signed_nor_verified(keys, shared, algorithm, length):
    there, name = keys.crypto(shared("RSA", size=2048).id, "wrapper"), SignatureAlgorithm(algorithm)
    for call in (lambda: there.sign(name, bytes(length)), lambda: there.verify(name, bytes(length), bytes(256))):
        status, code, _, message = refusal(call)
        assert (status, code) == (400, "BadParameter")
        assert f": {length} bytes. {algorithm} requires" in message


@pytest.mark.parametrize("algorithm", ["RSA-OAEP", "RSA-OAEP-256"])
def test_whatever_is_wrong_with_a_ciphertext_the_answer_is_the_same(keys, shared, algorithm):
    key = shared("RSA", size=2048)
    there, name = keys.crypto(key.id, "wrapper"), EncryptionAlgorithm(algorithm)
    good = there.encrypt(name, DATA_KEY).ciphertext
    other = "RSA-OAEP" if algorithm.endswith("256") else "RSA-OAEP-256"
    damaged = [
        good[:-1] + bytes([good[-1] ^ 1]),
        good[:-1],
        good + b"x",
        bytes(256),
        b"\xff" * 256,
        b"",
        rsa_public(key).encrypt(DATA_KEY, rsa_padding(other)),
        rsa_public(key).encrypt(DATA_KEY, rsa_padding("RSA1_5")),
    ]
    answers = {refusal(lambda value=value: there.decrypt(name, value)) for value in damaged}
    assert answers == {(400, "BadParameter", None, "The parameter is incorrect.")}


def test_rsa1_5_answers_bad_padding_with_bytes_so_that_nobody_can_tell_it_from_good(keys, shared):
    there = keys.crypto(shared("RSA", size=2048).id, "wrapper")
    good = there.encrypt(EncryptionAlgorithm.rsa1_5, DATA_KEY).ciphertext
    damaged = good[:-1] + bytes([good[-1] ^ 1])
    first, again = (there.decrypt(EncryptionAlgorithm.rsa1_5, damaged).plaintext for _ in range(2))
    assert first == again != DATA_KEY
    assert refusal(lambda: there.decrypt(EncryptionAlgorithm.rsa1_5, good[:-1]))[:2] == (400, "BadParameter")


def test_symmetric_ciphertexts_that_were_touched_are_refused_in_the_same_words(keys, shared):
    there = keys.crypto(shared("oct", size=256).id, "wrapper")
    gcm = EncryptionAlgorithm.a256_gcm
    sealed = there.encrypt(gcm, DATA_KEY, additional_authenticated_data=AAD)
    good = {
        "ciphertext": sealed.ciphertext,
        "iv": sealed.iv,
        "authentication_tag": sealed.tag,
        "additional_authenticated_data": AAD,
    }
    assert there.decrypt(gcm, **good).plaintext == DATA_KEY
    touched = [{name: bytes([value[0] ^ 1]) + value[1:]} for name, value in good.items()]
    touched += [{"authentication_tag": sealed.tag[:8]}, {"ciphertext": sealed.ciphertext[:-1]}]
    answers = {refusal(lambda each=each: there.decrypt(gcm, **good | each)) for each in touched}
    wrapped = there.wrap_key(KeyWrapAlgorithm.aes_256, DATA_KEY).encrypted_key
    answers.add(refusal(lambda: there.unwrap_key(KeyWrapAlgorithm.aes_256, wrapped[:-1] + b"x")))
    assert answers == {(400, "BadParameter", None, "The parameter is incorrect.")}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"alg": "RSA-OAEP"},
        {"value": "AAAA"},
        {"alg": None, "value": "AAAA"},
        {"alg": "none", "value": "AAAA"},
        {"alg": ["RSA-OAEP"], "value": "AAAA"},
        {"alg": "RSA-OAEP", "value": "not base64url!"},
        {"alg": "RSA-OAEP", "value": 7},
        {"alg": "RSA-OAEP", "value": "AAAA", "iv": 7},
        {"alg": "RSA-OAEP", "value": "A" * 400},
    ],
)
def test_a_body_outside_the_contract_is_a_bad_parameter(http, rsa_path, body):
    for operation in ("encrypt", "decrypt", "wrapkey", "unwrapkey", "sign", "verify"):
        answer = http.post(f"{rsa_path}/{operation}", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")


# Random bytes


@pytest.mark.parametrize("count", [1, 32, 128])
def test_random_bytes_come_in_the_number_asked_for(keys, count):
    assert len(keys.get_random_bytes(count)) == count
    if count > 16:
        assert keys.get_random_bytes(count) != keys.get_random_bytes(count)


@pytest.mark.parametrize("count", [0, 129, -1, "16", None, 1.5, True])
def test_no_other_number_of_random_bytes_is_given(http, count):
    answer = http.post("/rng", json={"count": count})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BadParameter")
