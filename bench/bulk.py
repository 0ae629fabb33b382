"""How fast bytes go where they are what counts: a tenant of few, large documents is snapshot, restored and compared.

The bench's own documents are small, so that a snapshot of them is soon taken and restored, and most of that is the
beginning of it. These are of random bytes, which nothing makes smaller.
"""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from statistics import median
from typing import Any

from elasticsearch import helpers

from bench import dataset
from bench.compare import time_proof
from bench.ground import progress
from bench.night import restored_copy
from demo.application import connect
from steward.search.names import TenantName
from steward.settings import Settings

TENANT = TenantName("bench-bulk")
DOCUMENT_BYTES = 16 << 10


def bulk_rates(settings: Settings, mib: int = 512, rounds: int = 3) -> dict[str, float]:
    """Bytes a second, medians: as the repository counts them, and as documents are written for the comparison."""
    documents = _load(settings, mib << 20)
    seconds: dict[str, list[float]] = {"snapshot": [], "restore": [], "compare": []}
    size = 0
    for number in range(rounds):
        # Of a snapshot that was deleted nothing is left to build on: each is a first one.
        with restored_copy(settings, [TENANT.first_index], f"bench-bulk-{number}") as copy:
            size = copy.taken.bytes
            seconds["snapshot"].append(copy.taken.upload_seconds)
            seconds["restore"].append(copy.restored.seconds)
            seconds["compare"].append(time_proof(copy, documents, 1).median("proof"))
        progress(f"  {size / 1e6:.0f} MB: round {number + 1} of {rounds}")
    return {f"{name}_bytes": round(size / median(each)) for name, each in seconds.items()}


def _load(settings: Settings, size: int) -> int:
    dataset.make_tenants(settings, [TENANT])
    with connect(settings) as client:
        patient = client.options(retry_on_status=(429,), max_retries=20)
        actions = helpers.parallel_bulk(patient, _documents(size), thread_count=3, chunk_size=100)
        return sum(ok for ok, _ in actions)


def _documents(size: int) -> Iterator[dict[str, Any]]:
    drawn = random.Random(1)  # noqa: S311  the same bytes each time, and no secret
    for number in range(size // DOCUMENT_BYTES):
        payload = base64.b64encode(drawn.randbytes(DOCUMENT_BYTES)).decode()
        # No field of the mapping: kept with the document, and not indexed.
        yield {
            "_op_type": "create",
            "_index": TENANT.alias,
            "_id": str(number),
            "routing": str(number % 97),
            "_source": {"payload": payload},
        }
