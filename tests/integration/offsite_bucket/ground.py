"""What is put into the bucket, and what a store answers in the server's place."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from botocore.awsrequest import AWSResponse

from steward.repository.copying import Lock, LockMode
from tests.integration.offsite_ground import content_of

BODY = b"a blob"
PART = 5 << 20


def a_lock(hours=1, mode=LockMode.GOVERNANCE):
    return Lock(mode, datetime.now(UTC).replace(microsecond=0) + timedelta(hours=hours))


def put_blob(bucket, key, body=BODY, lock=None, content=None):
    return bucket.put(key, iter([body]), content or content_of(body), lock or a_lock())


def read_blob(bucket, stored):
    return b"".join(bucket.chunks(stored.key, stored.version))


@contextmanager
def answering(bucket, method, status, code):
    """Requests by *method* for objects of tests get this answer in place of the server's. All others reach it."""

    def answer(request, **_event):
        return answer_of(request, status, code) if request.method == method and "tests/" in request.url else None

    events = bucket._bucket.client.meta.events
    events.register("before-send.s3", answer)
    try:
        yield
    finally:
        events.unregister("before-send.s3", answer)


def answer_of(request, status, code):
    return AWSResponse(request.url, status, {}, _Raw(f"<Error><Code>{code}</Code></Error>".encode()))


class _Raw:
    def __init__(self, body) -> None:
        self._body = body

    def stream(self, *_args, **_more):
        yield self._body
