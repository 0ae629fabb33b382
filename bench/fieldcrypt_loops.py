"""The loop in which every contender is timed, ours and each rival alike, in this process or in the rivals' own.

Standard library alone: the rivals' environment has nothing of ours.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple
from uuid import UUID

TENANT, TABLE, FIELD = "acme", "customers", "notes"
VALUE_BYTES = 256
#: As many rows as a page shows; few enough for every cache that a contender has, ours and the rivals'.
ROWS = 64


class Row(NamedTuple):
    """One row's value, and its place in the form that each contender asks for."""

    id: UUID
    value: Any
    associated: bytes
    """Tenant, table, field and row behind their lengths, made beforehand: ours alone is timed with making it."""
    context: dict[str, str]
    """The same as the AWS Encryption SDK takes it."""


class Contender(NamedTuple):
    """Encrypts and decrypts a row's value, bound to its place where it can be."""

    encrypt: Callable[[Row], Any]
    decrypt: Callable[[Row, Any], Any]


class Round(NamedTuple):
    """Microseconds of processor time a call, the mean of one round.

    Of the whole process, background threads included; what others do on the machine is not in it, and no call waits.
    """

    encrypt_us: float
    decrypt_us: float
    overhead_bytes: int


Timer = Callable[[int], Round]
"""Times one round of as many calls."""


def rows() -> list[Row]:
    """The same in every process."""
    # A draw, no secret: both processes have to draw the same.
    chance = random.Random(20250731)  # noqa: S311
    return [_row(UUID(bytes=chance.randbytes(16)), chance.randbytes(VALUE_BYTES)) for _ in range(ROWS)]


def _row(row_id: UUID, value: bytes) -> Row:
    parts = (TENANT.encode(), TABLE.encode(), FIELD.encode(), row_id.bytes)
    context = {"tenant": TENANT, "table": TABLE, "field": FIELD, "row": str(row_id)}
    return Row(row_id, value, b"".join(len(part).to_bytes(4, "big") + part for part in parts), context)


def time_round(contender: Contender, of: Sequence[Row], calls: int) -> Round:
    """*calls* encryptions, then the decryption of each, which must give back what went in."""
    encrypt, decrypt = contender
    wanted = [of[number % len(of)] for number in range(calls)]
    began = time.process_time_ns()
    sealed = [encrypt(row) for row in wanted]
    half = time.process_time_ns()
    opened = [decrypt(row, ciphertext) for row, ciphertext in zip(wanted, sealed, strict=True)]
    ended = time.process_time_ns()
    assert opened == [row.value for row in wanted], "a contender did not give back what it was given"
    return Round((half - began) / calls / 1000, (ended - half) / calls / 1000, len(sealed[0]) - VALUE_BYTES)
