from __future__ import annotations

import base64
import json
import random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner

from steward.evidence.envelopes import open_envelope, sign, verify
from steward.evidence.errors import SignatureRefused, UnusableEnvelope
from steward.evidence.signers import verifying_key
from tests.unit.evidence_samples import statement

PRIVATE = Ed25519PrivateKey.generate()
KEY = verifying_key(PRIVATE.public_key())
SIGNER = CryptoSigner(PRIVATE, KEY)
SIGNED = sign(statement().payload(), SIGNER)


def test_the_dsse_specification_s_own_envelope_verifies():
    # protocol.md, "Test Vectors": an ECDSA P-256 key, "hello world", and a signature as r and s side by side, which
    # this library's wire form writes as DER.
    numbers = ec.EllipticCurvePublicNumbers(
        46950820868899156662930047687818585632848591499744589407958293238635476079160,
        5640078356564379163099075877009565129882514886557779369047442380624545832820,
        ec.SECP256R1(),
    )
    raw = base64.b64decode("A3JqsQGtVsJ2O2xqrI5IcnXip5GToJ3F+FnZ+O88SjtR6rDAajabZKciJTfUiHqJPcIAriEGAHTVeCUjW2JIZA==")
    signature = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    key = verifying_key(numbers.public_key())
    envelope = {
        "payload": "aGVsbG8gd29ybGQ=",
        "payloadType": "http://example.com/HelloWorld",
        "signatures": [{"keyid": key.keyid, "sig": base64.b64encode(signature).decode()}],
    }
    signed = verify(json.dumps(envelope).encode(), key)
    assert (signed.payload, signed.payload_type) == (b"hello world", "http://example.com/HelloWorld")


def test_what_is_signed_is_the_specification_s_pre_authentication_encoding():
    encoded = Envelope(b"hello world", "http://example.com/HelloWorld", {}).pae()
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_a_signed_payload_comes_back_with_its_type_and_its_key():
    signed = verify(SIGNED, KEY)
    assert signed.payload == statement().payload()
    assert (signed.payload_type, signed.key_id) == ("application/vnd.in-toto+json", KEY.keyid)


def test_signing_the_same_with_ed25519_gives_the_same_bytes():
    assert sign(statement().payload(), SIGNER) == SIGNED


def test_every_flipped_byte_is_caught_or_changes_neither_payload_nor_signature():
    rng = random.Random(20250731)  # a seed, so that a failure can be repeated
    whole = open_envelope(SIGNED)
    caught = 0
    for position in range(len(SIGNED)):
        flipped = bytearray(SIGNED)
        flipped[position] ^= rng.randrange(1, 256)
        try:
            signed = verify(bytes(flipped), KEY)
        except (SignatureRefused, UnusableEnvelope):
            caught += 1
            continue
        assert open_envelope(bytes(flipped)) == whole
        assert signed == verify(SIGNED, KEY)
    # The format has no slack: canonical base64, one JSON member each, and key id and type are compared.
    assert caught == len(SIGNED)


@pytest.mark.parametrize("seed", range(200))
def test_random_damage_raises_nothing_but_our_own_errors(seed):
    rng = random.Random(seed)  # a seed, so that a failure can be repeated
    damaged = bytearray(SIGNED)
    for _ in range(rng.randrange(1, 20)):
        start = rng.randrange(len(damaged))
        damaged[start : start + rng.randrange(8)] = rng.randbytes(rng.randrange(8))
    if bytes(damaged) != SIGNED:
        with pytest.raises((SignatureRefused, UnusableEnvelope)):
            verify(bytes(damaged), KEY)


@pytest.mark.parametrize("length", [0, 1, len(SIGNED) // 2, len(SIGNED) - 1])
def test_a_truncated_envelope_is_unusable(length):
    with pytest.raises(UnusableEnvelope):
        verify(SIGNED[:length], KEY)


def test_another_key_is_refused_and_both_key_ids_are_told():
    other = verifying_key(Ed25519PrivateKey.generate().public_key())
    with pytest.raises(SignatureRefused) as raised:
        verify(SIGNED, other)
    assert other.keyid in raised.value.message
    assert KEY.keyid in raised.value.message
    assert not raised.value.transient


def _with(**members) -> bytes:
    return json.dumps({**json.loads(SIGNED), **members}).encode()


def test_another_key_that_claims_the_signer_s_id_is_refused():
    forger = CryptoSigner(Ed25519PrivateKey.generate())
    forged = json.loads(sign(statement(claim="all is well").payload(), forger))
    forged["signatures"][0]["keyid"] = KEY.keyid
    with pytest.raises(SignatureRefused):
        verify(json.dumps(forged).encode(), KEY)


def test_the_payload_s_type_is_signed_too():
    with pytest.raises(SignatureRefused):
        verify(_with(payloadType="text/plain"), KEY)


def test_an_envelope_without_signatures_is_refused():
    with pytest.raises(SignatureRefused, match="names none"):
        verify(_with(signatures=[]), KEY)


def test_a_second_signature_beside_the_good_one_does_no_harm():
    envelope = open_envelope(SIGNED)
    envelope.sign(CryptoSigner(Ed25519PrivateKey.generate()))
    assert verify(json.dumps(envelope.to_dict()).encode(), KEY).payload == statement().payload()


def test_layout_that_is_not_signed_may_differ():
    assert verify(json.dumps(json.loads(SIGNED), indent=4).encode(), KEY) == verify(SIGNED, KEY)


@pytest.mark.parametrize(
    "envelope",
    [
        b"null",
        b"[]",
        b'"x"',
        b"{}",
        b"\xff\xfe",
        _with(payload=None),
        _with(payload=5),
        _with(payload="not base64!"),
        _with(payload=json.loads(SIGNED)["payload"] + "===="),
        _with(payloadType=7),
        _with(payloadType="\ud800"),
        _with(signatures=None),
        _with(signatures=["x"]),
        _with(signatures=[{"keyid": "a"}]),
        _with(signatures=[{"sig": "AAAA"}]),
        _with(signatures=[{"sig": "AAAA", "keyid": ["a"]}]),
        _with(signatures=json.loads(SIGNED)["signatures"] * 2),
        SIGNED.replace(b'"payloadType"', b'"payload":"AAAA","payloadType"'),
    ],
)
def test_what_is_no_envelope_is_told_apart_from_what_was_tampered_with(envelope):
    with pytest.raises(UnusableEnvelope) as raised:
        verify(envelope, KEY)
    assert raised.value.hint
