"""Published vectors, through the very functions that the library calls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import cryptography_vectors
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes

from steward.fieldcrypt import envelope, keyset
from tests.unit.fieldcrypt import reference

PUBLISHED = Path(cryptography_vectors.__file__).parent
HASHES = {"SHA-1": hashes.SHA1(), "SHA-256": hashes.SHA256()}  # noqa: S303 # RFC 5869 has vectors for these two only
NEW_BLOCK = {"Count", "COUNT", "Len"}


def blocks(path: str) -> Iterator[dict[str, str]]:
    """Each test case as a dict, with the section's settings in it."""
    case: dict[str, str] = {}
    section: dict[str, str] = {}
    for line in (PUBLISHED / path).read_text().splitlines():
        name, equals, value = (part.strip() for part in re.sub(r"^\[|\]$", "", line).partition("="))
        if name in NEW_BLOCK and case:
            yield case
            case = {}
        if line.startswith("["):
            section[name] = value
        elif line == "FAIL" or (equals and not line.startswith("#")):
            case = {**section, **case, name: value}
    yield case


def gcm(path: str) -> list[dict[str, bytes]]:
    """What the one-shot AESGCM can be asked: tags of 128 bits, nonces of at least 64."""
    usable = [case for case in blocks(path) if case["Taglen"] == "128" and int(case["IVlen"]) >= 64]
    hexadecimal = ("Key", "IV", "PT", "AAD", "CT", "Tag")
    return [
        {name: bytes.fromhex(case[name]) for name in hexadecimal if name in case} | {"FAIL": "FAIL" in case}
        for case in usable
    ]


def test_nists_encryptions_with_256_bit_keys():
    cases = gcm("ciphers/AES/GCM/gcmEncryptExtIV256.rsp")
    assert len(cases) == 750
    for case in cases:
        sealed = envelope.AESGCM(case["Key"]).encrypt(case["IV"], case["PT"], case["AAD"])
        assert sealed == case["CT"] + case["Tag"]


def test_nists_decryptions_with_256_bit_keys_and_those_that_must_fail():
    cases = gcm("ciphers/AES/GCM/gcmDecrypt256.rsp")
    assert (len(cases), sum(case["FAIL"] for case in cases)) == (750, 378)
    for case in cases:
        cipher = envelope.AESGCM(case["Key"])
        if not case["FAIL"]:
            assert cipher.decrypt(case["IV"], case["CT"] + case["Tag"], case["AAD"]) == case["PT"]
            continue
        with pytest.raises(InvalidTag):
            cipher.decrypt(case["IV"], case["CT"] + case["Tag"], case["AAD"])


@pytest.mark.parametrize("algorithm", ["sha512", "sha256"])
def test_rfc_4231_hmac(algorithm):
    of_its_own = {"sha256": hashes.SHA256(), "sha512": hashes.SHA512()}[algorithm]
    cases = list(blocks(f"HMAC/rfc-4231-{algorithm}.txt"))
    assert len(cases) == 6
    for case in cases:
        key, message, expected = (bytes.fromhex(case[name]) for name in ("Key", "Msg", "MD"))
        for kind in (bytes, bytearray):
            field_key = keyset.FieldKey(keyset.HMAC(kind(key), of_its_own), b"", b"")
            assert field_key.hmac(message) == expected
            assert field_key.hmac(message) == expected
        assert reference.mac(key, message, of_its_own) == expected


def derived(algorithm: hashes.HashAlgorithm, key: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    output = bytearray(length)
    keyset.HKDF(algorithm, length, salt=salt or None, info=info).derive_into(bytearray(key), output)
    return bytes(output)


def test_rfc_5869_hkdf():
    cases = [case for name in ("SHA1", "SHA256") for case in blocks(f"KDF/rfc-5869-HKDF-{name}.txt") if "OKM" in case]
    assert len(cases) == 7
    for case in cases:
        key, salt, info, expected = (bytes.fromhex(case.get(name, "")) for name in ("IKM", "salt", "info", "OKM"))
        for function in (derived, reference.hkdf):
            assert function(HASHES[case["Hash"]], key, salt, info, int(case["L"])) == expected


def test_rfc_9180_hkdf_with_sha_512():
    # HPKE's key schedule is HKDF-SHA512 over labelled inputs; the modes with a pre-shared key do not publish it.
    suites = json.loads((PUBLISHED / "HPKE/test-vectors.json").read_text())
    suites = [suite for suite in suites if suite["kdf_id"] == 3 and suite["mode"] in (0, 2)]
    assert len(suites) == 32
    for suite in suites:
        names = ("shared_secret", "key_schedule_context", "exporter_secret")
        shared, context, expected = (bytes.fromhex(suite[name]) for name in names)
        label = b"HPKE-v1HPKE" + b"".join(suite[name].to_bytes(2, "big") for name in ("kem_id", "kdf_id", "aead_id"))
        info = (64).to_bytes(2, "big") + label + b"exp" + context
        for function in (derived, reference.hkdf):
            assert function(hashes.SHA512(), label + b"secret", shared, info, 64) == expected
