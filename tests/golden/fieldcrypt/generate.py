"""Writes the golden ciphertexts of a format, once: `python -m tests.golden.fieldcrypt.generate suite-1`.

A file that is there is never written again: what was released must be decryptable for ever. A new format gets a file of
its own, and its digest a line in tests/unit/fieldcrypt/test_golden.py. The keys are for tests; nothing lies under them.
"""

from __future__ import annotations

import argparse
import datetime as dt
import hashlib
import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

from steward.fieldcrypt import masterkey
from steward.fieldcrypt.errors import ValueNotSupported
from tests.golden.fieldcrypt.cases import cipher_of

FOLDER = Path(__file__).parent
PLACES: list[tuple[str, int, str, str, Any]] = [
    ("acme", 1, "customers", "email", 41),
    ("acme", 2**31 - 1, "customers", "email", UUID("6f1b7f4e-52f5-4a0e-9a5b-3f0f5d1c7a10")),
    ("zürich & söhne", 7, "line.items", "", ("2026-01", -3, UUID(int=0), b"\x00\xff")),
    ("", 42, "", "", ""),
]
# No surrogates in the order of a pair: whoever reads the file as JSON would get one character.
VALUES: list[Any] = [
    "",
    "ada@example.net",
    "Zürich\x00 東京 \U0001f989 \udcff \ude00\ud83d",
    b"",
    bytes(range(256)),
    0,
    -1,
    127,
    128,
    -128,
    -129,
    10**60,
    -(2**255),
    Decimal("19.90"),
    Decimal("-0.00"),
    Decimal("1E+999999"),
    Decimal("-NaN42"),
    Decimal("sNaN"),
    Decimal("-Infinity"),
    Decimal("1234567890123456789012345678901234567890.1"),
    dt.date.min,
    dt.date(2024, 2, 29),
    dt.date.max,
    True,
    False,
    0.1,
    -0.0,
    5e-324,
    1.7976931348623157e308,
    {},
    [],
    {"z": [1, 2.0, None, True, {"": "ü\ude00\ud83d"}], "a": -0.0, "\udc80": -(10**30)},
    "x" * 4096,
]


def written(value: Any) -> dict[str, Any]:
    """*value* as JSON that names its type."""
    match value:
        case tuple():
            return {"tuple": [written(part) for part in value]}
        case bytes():
            return {"bytes": value.hex()}
        case str():
            return {"str": value}
        case UUID() | Decimal() | dt.date():
            return {type(value).__name__: str(value)}
        case bool() | float() | list() | dict():
            return {"json": value}
        case _:
            return {"int": str(value)}


def golden(place: tuple[str, int, str, str, Any], value: Any) -> dict[str, Any]:
    tenant, key_id, table, field, row_id = place
    master_key = hashlib.sha256(f"golden {tenant} {key_id}".encode()).digest()
    cipher = cipher_of(tenant, key_id, master_key)
    try:
        index = cipher.blind_index(table, field, value)
    except ValueNotSupported:
        index = None
    return {
        "tenant": tenant,
        "key_id": key_id,
        "master_key": master_key.hex(),
        "sealed_master_key": masterkey.seal(tenant, key_id, master_key).hex(),
        "table": table,
        "field": field,
        "row_id": written(row_id),
        "value": written(value),
        "ciphertext": (cipher.encrypt(table, field, row_id, value) or b"").hex(),
        "blind_index": index and index.hex(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", help="of the format, e.g. suite-1")
    path = FOLDER / f"{parser.parse_args().name}.json"
    # Every value at the first place, a few at each other.
    cases = [golden(PLACES[0], value) for value in VALUES]
    cases += [golden(place, value) for place in PLACES[1:] for value in ("", "ada@example.net", 7, Decimal("7.0"), {})]
    with path.open("x", encoding="ascii") as file:
        json.dump(cases, file, indent=1)
        file.write("\n")
    sys.stdout.write(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n")


if __name__ == "__main__":
    main()
