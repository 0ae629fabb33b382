"""What the ledger keeps of a step: its arguments as a digest, its result as JSON."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from psycopg.types.json import Jsonb
from pydantic_core import to_jsonable_python

from steward.operations.errors import ResultTooLarge

#: The points in time of a few thousand shards fit; documents do not.
MOST_BYTES = 4 << 20


def digest_of(inputs: object) -> str:
    """The same for the same arguments, in whatever process."""
    plain = json.dumps(to_jsonable_python(inputs), sort_keys=True)
    return hashlib.sha256(plain.encode()).hexdigest()[:32]


def to_json(value: Any) -> Jsonb | None:
    """*value* as it is recorded; ResultTooLarge where it belongs in a store."""
    if value is None:
        return None
    plain = to_jsonable_python(value)
    size = len(json.dumps(plain))
    if size > MOST_BYTES:
        raise ResultTooLarge(
            f"a result of {size:,} bytes cannot be kept in the ledger, which takes {MOST_BYTES:,}",
            hint="keep it in a store, and return its name",
        )
    return Jsonb(plain)
