"""What finds leaks, tried on leaks: whatever form programs give to bytes, however deep."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import io
import json
import lzma
import pickle
import zipfile
import zlib

import pytest
from prefect.serializers import CompressedSerializer, JSONSerializer, PickleSerializer

from tests.integration.exposure.needles import PIECE, Secret, pieces
from tests.integration.exposure.scanning import Exposed, Haystack, require_unexposed

pytestmark = pytest.mark.without_search

KEYS = [hashlib.sha256(b"a key for the scanner %d" % number).digest() for number in range(8)]
PERSON = Secret("plaintext", "e-mail", b"nobody-7f3a91c2e5d8@sentinel.example")
NOISE = b"".join(hashlib.sha512(b"%d" % number).digest() for number in range(20_000))


def leaks(content, *secrets, text=True, kept=()):
    try:
        require_unexposed(secrets, [Haystack("there", lambda: content, text=text, kept=kept)])
    except Exposed as exposed:
        return exposed.leaks
    return []


def zipped(key):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writing:
        writing.writestr("key", key.hex())
    return archive.getvalue()


FORMS = {
    "raw": bytes,
    "hex": lambda key: key.hex().encode(),
    "HEX": lambda key: key.hex().upper().encode(),
    "hex with colons": lambda key: key.hex(":").encode(),
    "hex with spaces": lambda key: key.hex(" ").encode(),
    "base64": base64.b64encode,
    "base64url": base64.urlsafe_b64encode,
    "list of numbers": lambda key: str(list(key)).encode(),
    "compact list of numbers": lambda key: json.dumps(list(key), separators=(",", ":")).encode(),
    "repr": lambda key: repr(key).encode(),
    "repr of a bytearray": lambda key: repr(bytearray(key)).encode(),
    "repr of a tuple": lambda key: repr(("key", key, None)).encode(),
    "repr in JSON": lambda key: json.dumps({"said": f"bad key {key!r}"}).encode(),
    "JSON of its letters": lambda key: json.dumps(key.decode("latin-1")).encode(),
    "JSON of surrogates": lambda key: json.dumps(key.decode("utf-8", "surrogateescape")).encode(),
    "letters": lambda key: key.decode("latin-1").encode(),
    "pickle": pickle.dumps,
    "pickle of old": lambda key: pickle.dumps(key, protocol=2),
    "pickle of a bytearray": lambda key: pickle.dumps({"key": bytearray(key)}),
    "COPY's escape format": lambda key: "".join(f"\\{byte:03o}" for byte in key).encode(),
    "percent-encoding": lambda key: "".join(f"%{byte:02X}" for byte in key).encode(),
    "decimal number": lambda key: str(int.from_bytes(key)).encode(),
    "UTF-16": lambda key: key.decode("latin-1").encode("utf-16-le"),
    "gzip": gzip.compress,
    "gzip of JSON": lambda key: gzip.compress(json.dumps({"key": key.hex()}).encode()),
    "zlib": zlib.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zip": zipped,
    "Prefect's pickle": PickleSerializer().dumps,
    "Prefect's JSON": lambda key: JSONSerializer().dumps({"key": key.hex()}),
    "Prefect's compressed pickle": CompressedSerializer(serializer=PickleSerializer()).dumps,
    "base64 of gzip in JSON": lambda key: json.dumps({"is": base64.b64encode(gzip.compress(key)).decode()}).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_key_is_found_in_every_form(form):
    for number, key in enumerate(KEYS):
        content = FORMS[form](key)
        if form not in {"zlib", "zip"}:
            # These two are looked for at the beginning only.
            content = b"." * number + content + b" and so on"
        [leak, *_] = leaks(content, Secret("master key", "ada/1", key))
        assert (leak.kind, leak.name, leak.where) == ("master key", "ada/1", "there")


@pytest.mark.parametrize("literal", [bytes, bytearray, lambda key: key.decode("latin-1")])
@pytest.mark.parametrize("quotes", ["'", '"', "'\"", "\"'", ""])
def test_a_key_with_quotes_in_it_is_found_in_the_literal_that_python_writes_for_it(literal, quotes):
    key = b"".join(quotes.encode() + KEYS[0][at : at + 7] for at in range(0, 32, 7))
    for beside in ("", "'", '"'):
        content = repr(literal(beside.encode() + key + b"\\")).encode()
        assert leaks(content, Secret("master key", "ada/1", key)), content


@pytest.mark.parametrize("offset", range(9))
def test_it_is_found_wherever_it_lies(offset):
    key = Secret("master key", "ada/1", KEYS[0])
    for size in (0, 7, 1 << 20):
        content = NOISE[: size + offset] + key.value + NOISE[:offset]
        [leak] = leaks(content, key, text=False)
        assert (leak.form, leak.copies) == ("raw", 1)


def test_a_wrapped_payload_is_found_by_the_key_that_it_holds():
    payload = KEYS[0] + KEYS[1]
    for encoded in (payload, base64.b64encode(b"x" + payload), json.dumps({"value": payload.hex()}).encode()):
        assert leaks(encoded, Secret("master key", "ada/1", KEYS[0]))


def test_half_a_key_is_found():
    for cut in (KEYS[0][:PIECE], KEYS[0][PIECE:], bytes(PIECE) + KEYS[0][PIECE:]):
        assert leaks(b"it begins " + cut.hex().encode(), Secret("master key", "ada/1", KEYS[0]))


def test_copies_are_counted():
    [leak] = leaks(KEYS[0] * 3 + KEYS[0][:PIECE], Secret("master key", "ada/1", KEYS[0]), text=False)
    assert leak.copies == 4


@pytest.mark.parametrize("form", FORMS)
def test_what_a_person_said_is_found_in_every_form(form):
    assert leaks(FORMS[form](PERSON.value), PERSON)


def test_tokens_and_private_keys_are_found_by_their_form():
    token = ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=")
        for part in (b'{"alg":"RS256"}', b'{"aud":"vault.azure.net"}', KEYS[0] * 4)
    )
    [leak] = leaks(f"Authorization: Bearer {token}".encode())
    assert leak.kind == "token"
    [leak] = leaks(gzip.compress(b"-----BEGIN PRIVATE KEY-----\nMC4CAQ"))
    assert (leak.kind, leak.form) == ("private key", "itself in gzip")


def test_where_it_is_kept_it_is_no_leak():
    key = Secret("password", "of the database", KEYS[0])
    assert leaks(key.value, key, kept={"password"}) == []
    assert leaks(key.value, key, kept={"token"})


def test_other_bytes_are_no_leak():
    assert leaks(NOISE, *[Secret("master key", str(number), key) for number, key in enumerate(KEYS)], PERSON) == []


def test_what_is_too_short_to_be_told_from_chance_is_refused():
    with pytest.raises(ValueError, match="by chance"):
        pieces(b"1815-12-10")


def test_nothing_of_a_secret_is_in_what_is_said_of_it():
    key = Secret("master key", "ada/1", KEYS[0])
    with pytest.raises(Exposed) as told:
        require_unexposed([key], [Haystack("there", lambda: KEYS[0])])
    assert leaks(str(told.value).encode() + repr(told.value.leaks).encode() + repr(key).encode(), key) == []
