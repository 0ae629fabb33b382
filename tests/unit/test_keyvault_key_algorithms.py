"""Every algorithm of the contract against published vectors and against the library used directly."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode

import pytest
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from hypothesis import given, settings
from hypothesis import strategies as st

from replica.keyvault import algorithms
from replica.keyvault.algorithms import CIPHERS, SIGNATURES, Mode
from replica.keyvault.errors import Refusal
from replica.keyvault.jwk import KeyMaterial, generate, import_jwk
from replica.keyvault.key_encryption import Sealed, decrypt, encrypt
from replica.keyvault.key_signatures import sign, verify

KID = "https://vault.example/keys/sample/0123456789abcdef0123456789abcdef"
RSA = generate("RSA", 2048, None, None)
OCT = {size: generate("oct", size, None, None) for size in (128, 192, 256)}
EC = {curve: generate("EC", None, curve, None) for curve in ("P-256", "P-256K", "P-384", "P-521")}
SHA2 = {"256": hashlib.sha256, "384": hashlib.sha384, "512": hashlib.sha512}


def decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def key_for(cipher: algorithms.Cipher) -> KeyMaterial:
    return RSA if cipher.family == "RSA" else OCT[cipher.size or 256]


def signing_key(signature: algorithms.Signature) -> KeyMaterial:
    if signature.curve:
        return EC[signature.curve]
    return RSA if signature.family == "RSA" else OCT[256]


def digest_for(name: str) -> bytes:
    return SHA2[name[2:5]](b"what is signed").digest() if name != "RSNULL" else b"anything"


def rsa_private() -> rsa.RSAPrivateKey:
    assert isinstance(RSA.private, rsa.RSAPrivateKey)
    return RSA.private


# Vectors


def test_es256_verifies_the_signature_of_rfc_7515():
    key = import_jwk(
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "d": "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
        },
        hsm=False,
    )
    signed = b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    signature = decoded("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
    assert verify(key, SIGNATURES["ES256"], hashlib.sha256(signed).digest(), signature)


def test_hs256_makes_the_code_of_rfc_7515():
    key = decoded("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow")
    signed = b"eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
    made = sign(KeyMaterial("oct", key), SIGNATURES["HS256"], signed)
    assert made == decoded("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")


def test_a128kw_wraps_the_key_of_rfc_3394():
    kek = KeyMaterial("oct", bytes.fromhex("000102030405060708090A0B0C0D0E0F"))
    key = bytes.fromhex("00112233445566778899AABBCCDDEEFF")
    wrapped = encrypt(kek, CIPHERS["A128KW"], key, None, None).value
    assert wrapped == bytes.fromhex("1FA68B0A8112B447AEF34BD8FB5A7B829D3E862371D2CFE5")
    assert decrypt(kek, CIPHERS["A128KW"], Sealed(wrapped)) == key


def test_ckm_aes_key_wrap_pad_wraps_the_key_of_rfc_5649():
    kek = KeyMaterial("oct", bytes.fromhex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8"))
    key = bytes.fromhex("c37b7e6492584340bed12207808941155068f738")
    wrapped = encrypt(kek, CIPHERS["CKM_AES_KEY_WRAP_PAD"], key, None, None).value
    assert wrapped == bytes.fromhex("138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a")
    assert decrypt(kek, CIPHERS["CKM_AES_KEY_WRAP_PAD"], Sealed(wrapped)) == key


# Against the library


@pytest.mark.parametrize("name", ["RSA1_5", "RSA-OAEP", "RSA-OAEP-256"])
def test_rsa_ciphers_agree_with_the_library_both_ways(name):
    pad = {
        "RSA1_5": padding.PKCS1v15(),
        "RSA-OAEP": padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),  # noqa: S303
        "RSA-OAEP-256": padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
    }[name]
    theirs = rsa_private().public_key().encrypt(b"a data key", pad)
    assert decrypt(RSA, CIPHERS[name], Sealed(theirs)) == b"a data key"
    assert rsa_private().decrypt(encrypt(RSA, CIPHERS[name], b"a data key", None, None).value, pad) == b"a data key"


@pytest.mark.parametrize("size", [128, 192, 256])
def test_symmetric_ciphers_agree_with_the_library(size):
    key, value, iv = OCT[size], b"sixteen bytes ok" * 2, b"i" * 16
    assert isinstance(key.private, bytes)
    sealed = encrypt(key, CIPHERS[f"A{size}GCM"], value, None, b"aad")
    assert AESGCM(key.private).decrypt(sealed.iv, sealed.value + sealed.tag, b"aad") == value
    assert encrypt(key, CIPHERS[f"A{size}KW"], value, None, None).value == keywrap.aes_key_wrap(key.private, value)
    encryptor = Cipher(AES(key.private), modes.CBC(iv)).encryptor()
    assert encrypt(key, CIPHERS[f"A{size}CBC"], value, iv, None).value == encryptor.update(value)


@pytest.mark.parametrize("name", [name for name in SIGNATURES if name[:2] in ("RS", "PS") and name != "RSNULL"])
def test_rsa_signatures_agree_with_the_library(name):
    digest, algorithm = digest_for(name), SIGNATURES[name]
    kind = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}[name[2:]]()
    pad = padding.PKCS1v15() if name.startswith("RS") else padding.PSS(padding.MGF1(kind), len(digest))
    rsa_private().public_key().verify(sign(RSA, algorithm, digest), digest, pad, utils.Prehashed(kind))
    assert verify(RSA, algorithm, digest, rsa_private().sign(digest, pad, utils.Prehashed(kind)))


@pytest.mark.parametrize("name", ["ES256", "ES256K", "ES384", "ES512"])
def test_ecdsa_signatures_have_the_width_of_rfc_7518_and_agree_with_the_library(name):
    algorithm, digest = SIGNATURES[name], digest_for(name)
    private = signing_key(algorithm).private
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    made = sign(signing_key(algorithm), algorithm, digest)
    half = {"P-256": 32, "P-256K": 32, "P-384": 48, "P-521": 66}[str(algorithm.curve)]
    assert len(made) == 2 * half
    der = utils.encode_dss_signature(int.from_bytes(made[:half]), int.from_bytes(made[half:]))
    private.public_key().verify(der, digest, ec.ECDSA(utils.Prehashed(algorithm.digest)))


def test_rsnull_signs_without_digest_info():
    made = sign(RSA, SIGNATURES["RSNULL"], b"bare")
    rsa_private().public_key().verify(made, b"bare", padding.PKCS1v15(), utils.NoDigestInfo())
    with pytest.raises(Refusal, match="too long"):
        sign(RSA, SIGNATURES["RSNULL"], bytes(300))
    assert not verify(RSA, SIGNATURES["RSNULL"], bytes(300), made)


# Round trips and refusals


@pytest.mark.parametrize("name", CIPHERS)
@settings(max_examples=15, deadline=None)
@given(blocks=st.integers(1, 8), aad=st.none() | st.binary(max_size=40))
def test_every_cipher_round_trips(name, blocks, aad):
    cipher, value = CIPHERS[name], bytes(range(16)) * blocks
    sealed = encrypt(key_for(cipher), cipher, value, None, aad)
    assert decrypt(key_for(cipher), cipher, sealed) == value
    assert sealed.value != value


@pytest.mark.parametrize("name", SIGNATURES)
def test_every_signature_holds_for_its_digest_and_for_no_other(name):
    algorithm, digest = SIGNATURES[name], digest_for(name)
    key = signing_key(algorithm)
    made = sign(key, algorithm, digest)
    assert verify(key, algorithm, digest, made)
    assert not verify(key, algorithm, bytes(len(digest)), made)
    assert not any(verify(key, algorithm, digest, other) for other in (b"", b"short", bytes(len(made)), made + b"x"))


def damaged(sealed: Sealed, mode: Mode) -> list[Sealed]:
    value, iv, tag = sealed.value, sealed.iv, sealed.tag
    forms = [Sealed(b"", iv, tag), Sealed(value[:-1], iv, tag), Sealed(value + b"x", iv, tag)]
    if mode is Mode.GCM:
        assert tag is not None
        forms += [Sealed(value, iv, tag[:-1]), Sealed(value, iv, bytes(16)), Sealed(value, iv, tag, b"other")]
    if mode not in (Mode.CBC, Mode.CBCPAD, Mode.RSA1_5):
        forms.append(Sealed(bytes([value[0] ^ 1]) + value[1:], iv, tag))
    return forms


@pytest.mark.parametrize("name", CIPHERS)
def test_whatever_does_not_decrypt_is_refused_in_the_same_words(name):
    cipher = CIPHERS[name]
    sealed = encrypt(key_for(cipher), cipher, bytes(range(16)) * 2, None, None)
    refusals = set()
    for form in damaged(sealed, cipher.mode):
        with pytest.raises(Refusal) as refused:
            decrypt(key_for(cipher), cipher, form)
        assert refused.value.__suppress_context__ or refused.value.__context__ is None
        refusals.add((refused.value.status, refused.value.code, refused.value.message, refused.value.inner))
    assert refusals == {(400, "BadParameter", "The parameter is incorrect.", "")}


def test_a_damaged_rsa1_5_ciphertext_yields_bytes_of_the_key_s_own_and_no_oracle():
    value = encrypt(RSA, CIPHERS["RSA1_5"], b"a data key", None, None).value
    seen = {decrypt(RSA, CIPHERS["RSA1_5"], Sealed(value[:-1] + bytes([value[-1] ^ bit]))) for bit in (1, 2, 4, 8)}
    assert b"a data key" not in seen
    assert len(seen) == 4


@pytest.mark.parametrize(
    ("name", "value", "iv", "tells"),
    [
        ("RSA-OAEP-256", bytes(191), None, "too long"),
        ("RSA1_5", bytes(246), None, "too long"),
        ("A256KW", b"no multiple of 8", None, None),
        ("A256KW", b"12345", None, "multiple of 8"),
        ("A256KW", b"12345678", None, "at least 16"),
        ("A256CBC", b"12345", None, "multiple of 16"),
        ("A256CBC", b"", None, "multiple of 16"),
        ("A256CBCPAD", b"12345", b"short", "iv"),
        ("A256GCM", b"12345", b"i" * 12, "iv must not be given"),
    ],
)
def test_a_value_or_iv_that_a_cipher_cannot_take_is_refused(name, value, iv, tells):
    if tells is None:
        assert encrypt(key_for(CIPHERS[name]), CIPHERS[name], value, iv, None)
        return
    with pytest.raises(Refusal, match=tells):
        encrypt(key_for(CIPHERS[name]), CIPHERS[name], value, iv, None)


@pytest.mark.parametrize(("name", "sealed"), [("A256GCM", Sealed(b"x", b"i" * 12)), ("A256CBC", Sealed(b"x" * 16))])
def test_what_a_cipher_needs_beside_the_ciphertext_is_asked_for(name, sealed):
    with pytest.raises(Refusal, match="is missing"):
        decrypt(OCT[256], CIPHERS[name], sealed)


@pytest.mark.parametrize(
    ("name", "key", "wrapping"),
    [
        ("RSA-OAEP", OCT[256], True),
        ("RSA-OAEP", EC["P-256"], True),
        ("A256GCM", RSA, False),
        ("A256KW", OCT[128], True),
        ("A128GCM", OCT[256], False),
    ],
)
def test_a_cipher_for_another_kind_or_size_of_key_is_refused_naming_both(name, key, wrapping):
    with pytest.raises(Refusal, match=rf"incompatible. Key {KID} .*'{name}' can only be used with") as refused:
        algorithms.cipher(name, key, KID, wrapping=wrapping)
    assert (refused.value.status, refused.value.code) == (400, "BadParameter")


@pytest.mark.parametrize("name", ["A256KW", "RS256", "nonsense", "", None, 7, "rsa-oaep"])
def test_what_is_no_encryption_algorithm_is_refused(name):
    with pytest.raises(Refusal, match="alg"):
        algorithms.cipher(name, OCT[256], KID, wrapping=False)


@pytest.mark.parametrize(("name", "key"), [("ES256", EC["P-256K"]), ("RS256", EC["P-256"]), ("HS256", RSA), ("X", RSA)])
def test_a_signature_algorithm_for_another_key_is_refused(name, key):
    with pytest.raises(Refusal) as refused:
        algorithms.signature(name, key, KID)
    assert (refused.value.status, refused.value.code) == (400, "BadParameter")


def test_a_curve_that_does_not_fit_is_told_in_the_vault_s_words():
    with pytest.raises(Refusal) as refused:
        algorithms.signature("ES256", EC["P-256K"], KID)
    assert refused.value.message == (
        f"Key and signing algorithm are incompatible. Key {KID} uses curve 'P-256K', and algorithm 'ES256' can only be"
        " used with curve 'P-256'."
    )


def test_a_digest_of_another_length_is_refused_in_the_vault_s_words():
    with pytest.raises(Refusal) as refused:
        algorithms.check_digest(SIGNATURES["ES256K"], b"x", "value")
    assert (
        refused.value.message == "Invalid length of 'value': 1 bytes. ES256K requires 32 bytes, encoded with base64url."
    )
    algorithms.check_digest(SIGNATURES["RSNULL"], b"x", "value")
    algorithms.check_digest(SIGNATURES["HS512"], b"x", "value")
