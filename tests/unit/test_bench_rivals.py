"""The libraries that field encryption is compared with: outside the product, and timed as ours are."""

from __future__ import annotations

import re
from pathlib import Path
from uuid import UUID

import pytest

from bench.fieldcrypt_loops import VALUE_BYTES, Contender, rows, time_round

ROOT = Path(__file__).parents[2]
RIVALS = {"tink", "aws-encryption-sdk"}


def locked(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9._-]+)==", (ROOT / lock).read_text(), re.MULTILINE))


def test_no_lock_of_the_product_names_a_rival():
    locks = [path.name for path in ROOT.glob("requirements*.lock")]
    assert len(locks) >= 3
    assert not [lock for lock in locks if locked(lock) & RIVALS]


def test_the_rivals_lock_has_a_hash_for_each_and_the_products_own_cryptography():
    text = (ROOT / "bench/rivals/requirements.lock").read_text()
    assert locked("bench/rivals/requirements.lock") >= RIVALS
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=\S)", text.strip()))
    assert "://" not in text
    (version,) = re.findall(r"^cryptography==\S+", text, re.MULTILINE)
    assert version in (ROOT / "requirements.lock").read_text()


def test_every_process_draws_the_same_rows():
    first = rows()[0]
    assert first.id == UUID("2c8de306-aff0-c89a-dee3-38d851b62f09")
    assert {len(row.value) for row in rows()} == {VALUE_BYTES}


def test_a_contender_that_gives_back_something_else_is_not_timed():
    with pytest.raises(AssertionError, match="did not give back"):
        time_round(Contender(lambda row: row.value, lambda _, sealed: sealed[::-1]), rows(), 4)


def test_overhead_is_the_ciphertext_less_the_plaintext():
    contender = Contender(lambda row: bytes(70) + row.value, lambda _, sealed: sealed[70:])
    assert time_round(contender, rows(), 4).overhead_bytes == 70
