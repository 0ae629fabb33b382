"""How a blob goes up: in one piece, or in parts, the store comparing the SHA-256 of each with what arrived."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from steward.clients.offsite_errors import ContentDiffers
from steward.clients.s3 import _code
from steward.errors import BadInput
from steward.repository.copying import Content, Lock

#: An upload holds two of them in memory at most; from this size on a blob goes in parts. S3 takes at most 5 GiB in one piece.
PART_BYTES = 16 << 20
#: S3's own bounds: parts of an object, and its size.
MOST_PARTS = 10_000
MOST_BYTES = 5 << 40
#: Metadata's name for the SHA-256 of the whole: of parts, a store keeps only a SHA-256 of SHA-256s.
SHA256 = "sha256"


@dataclass(frozen=True)
class Upload:
    """What is to be where, and locked how."""

    key: str
    content: Content
    lock: Lock | None
    """None: what is fetched to be cleared away again."""
    is_first: bool
    """Nothing is under the key yet: then a try of the client's own whose answer is lost writes no second version."""


def upload(client: Any, bucket: str, asked: Upload, chunks: Iterator[bytes]) -> str | None:
    """Write *chunks*: the version's id, or None where it was to be the first and another was faster.

    Raises ContentDiffers unless they are the content promised, what botocore does, and whatever *chunks* do; then
    nothing is under the key that was not there before.
    """
    if asked.content.bytes > MOST_BYTES:
        raise BadInput(
            f"{asked.key} has {asked.content.bytes:,} bytes, of an object at most {MOST_BYTES:,}",
            hint="register the repository with chunk_size",
        )
    told = {"Bucket": bucket, "Key": asked.key, "ContentType": "application/octet-stream"}
    told |= {"Metadata": {SHA256: asked.content.sha256}}
    if asked.lock:
        told |= {"ObjectLockMode": asked.lock.mode.upper(), "ObjectLockRetainUntilDate": asked.lock.until}
    compared = _Compared(asked.key, chunks, asked.content)
    return (_whole if asked.content.bytes <= PART_BYTES else _in_parts)(client, told, compared, asked.is_first)


def _whole(client: Any, told: dict[str, Any], content: _Compared, is_first: bool) -> str | None:
    body = b"".join(content.parts(PART_BYTES))
    try:
        first = {"IfNoneMatch": "*"} if is_first else {}
        written = client.put_object(**told, **first, Body=body, ChecksumSHA256=_base64(content.content.sha256))
    except ClientError as error:
        if _code(error) not in {"PreconditionFailed", "412"}:
            raise
        return None
    return str(written.get("VersionId", ""))


class _Compared:
    """Chunks, cut anew; their end is an error where they were not what was promised."""

    def __init__(self, key: str, chunks: Iterator[bytes], content: Content) -> None:
        self._key, self._chunks, self.content = key, chunks, content

    def parts(self, length: int) -> Iterator[bytes]:
        """Parts of *length*; the last may be shorter. Bytes beyond the promised size are not read."""
        digest, seen, part, room = hashlib.sha256(), 0, list[memoryview](), length
        for chunk in self._chunks:
            digest.update(chunk)
            if (seen := seen + len(chunk)) > self.content.bytes:
                break
            rest = memoryview(chunk)
            while rest:
                part.append(rest[:room])
                rest, room = rest[room:], room - len(part[-1])
                if not room:
                    whole, part, room = b"".join(part), [], length
                    yield whole
        if (read := Content(seen, digest.hexdigest())) != self.content:
            raise ContentDiffers(self._key, read, self.content)
        if part:
            yield b"".join(part)


def _in_parts(client: Any, told: dict[str, Any], content: _Compared, _is_first: bool) -> str:
    # A completion that is repeated writes no second version: its upload is then completed, or unknown.
    at = {"Bucket": told["Bucket"], "Key": told["Key"]}
    begun = client.create_multipart_upload(**told, ChecksumAlgorithm="SHA256")
    at["UploadId"] = begun["UploadId"]
    try:
        done = [
            _part(client, at, number, body)
            for number, body in enumerate(content.parts(_part_bytes(content.content.bytes)), 1)
        ]
        written = client.complete_multipart_upload(**at, MultipartUpload={"Parts": done})
    except BaseException:
        # Parts of an upload that is not completed are paid for, and listed nowhere. What kills the process leaves them
        # to the bucket's lifecycle rule (AbortIncompleteMultipartUpload).
        with suppress(ClientError, BotoCoreError):
            client.abort_multipart_upload(**at)
        raise
    return str(written.get("VersionId", ""))


def _part(client: Any, at: dict[str, Any], number: int, body: bytes) -> dict[str, Any]:
    checksum = _base64(hashlib.sha256(body).hexdigest())
    answer = client.upload_part(**at, PartNumber=number, Body=body, ChecksumSHA256=checksum)
    return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}


def _part_bytes(size: int) -> int:
    """Of each part: larger than usual only where there would be too many."""
    return max(PART_BYTES, -(-size // MOST_PARTS))


def _base64(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()
