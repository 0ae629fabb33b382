"""Operations that are refused say so in the vault's words, and never tell good from bad beyond them."""

from __future__ import annotations

import pytest
from azure.keyvault.keys.crypto import EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm

from tests.testbed.keyvault.operations_ground import AAD, DATA_KEY, refusal, rsa_padding, rsa_public

pytestmark = pytest.mark.without_search


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
