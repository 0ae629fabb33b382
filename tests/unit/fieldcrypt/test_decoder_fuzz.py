"""The short part of tests/fuzz: the same damage in every run. `make fuzz-fieldcrypt` goes on from there."""

from __future__ import annotations

import pytest

from steward.fieldcrypt import envelope
from steward.fieldcrypt.errors import CiphertextRefused
from tests.fuzz import decoder_claims
from tests.fuzz.decoder_claims import check, goldens, mutants, seeds


@pytest.mark.parametrize("seed", range(4))
def test_only_the_librarys_own_errors_come_out_of_damaged_ciphertexts(seed):
    for data in mutants(1000, seed):
        check(data)


def test_undamaged_seeds_keep_the_claims():
    for data in seeds():
        check(data)


def test_a_forgery_would_be_noticed(monkeypatch):
    monkeypatch.setattr(envelope, "open_sealed", lambda *_: b"")
    with pytest.raises(decoder_claims.Broken, match="nobody made"):
        check(bytes([0, 0]) + goldens()[0].ciphertext[:-1] + b"?")


def test_an_error_of_pythons_own_would_be_noticed(monkeypatch):
    def careless(kind: int, encoded: bytes) -> str:
        return encoded.decode("ascii")

    monkeypatch.setattr("steward.fieldcrypt.cipher.decode", careless)
    with pytest.raises(UnicodeDecodeError):
        check(bytes([1, 1]) + b"\xff")


def test_a_quoted_plaintext_would_be_noticed(monkeypatch):
    def talkative(kind: int, encoded: bytes) -> str:
        raise CiphertextRefused(f"cannot read {encoded.decode()}")

    monkeypatch.setattr("steward.fieldcrypt.cipher.decode", talkative)
    with pytest.raises(decoder_claims.Broken, match="holds the plaintext"):
        check(bytes([1, 1]) + b"geheimnis")
