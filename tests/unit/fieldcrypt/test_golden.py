"""What was released must be decryptable for ever: golden files are added, never changed."""

from __future__ import annotations

import hashlib

import pytest

from steward.fieldcrypt import key_id, masterkey
from tests.golden.fieldcrypt.cases import FILES, cases
from tests.unit.fieldcrypt import reference
from tests.unit.fieldcrypt.strategies import same

DIGESTS = {
    "suite-1.json": "f41801053e5ba1246c02cac88640698a0529a5d947aef035f05412d3eaebec29",
}
GOLDEN = [pytest.param(case, id=f"{path.stem} {number}") for path in FILES for number, case in enumerate(cases(path))]


def test_the_golden_files_are_those_that_were_released():
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in FILES} == DIGESTS


def test_every_kind_of_value_is_among_them():
    kinds = {case.values[0].ciphertext[1] >> 4 for case in GOLDEN}
    assert kinds == set(range(6))
    assert len(GOLDEN) == 48


@pytest.mark.parametrize("golden", GOLDEN)
def test_it_is_decrypted_to_the_last_bit(golden):
    assert key_id(golden.ciphertext) == golden.key_id
    assert same(golden.cipher().decrypt(*golden.place, golden.ciphertext), golden.value)


@pytest.mark.parametrize("golden", [case for case in GOLDEN if case.values[0].blind_index])
def test_its_row_is_found(golden):
    assert golden.cipher().blind_indexes(golden.table, golden.field, golden.value) == [golden.blind_index]


@pytest.mark.parametrize("golden", GOLDEN)
def test_its_wrapped_master_key_is_taken(golden):
    assert masterkey.open_sealed(golden.tenant, golden.key_id, golden.sealed_master_key) == golden.master_key


@pytest.mark.parametrize("golden", GOLDEN)
def test_the_decoder_written_from_the_document_opens_it(golden):
    spot = reference.Spot(golden.master_key, golden.key_id, golden.tenant, *golden.place)
    kind, plaintext = reference.open_envelope(spot, golden.ciphertext)
    assert reference.make_envelope(spot, kind, plaintext, golden.ciphertext[6:22]) == golden.ciphertext
