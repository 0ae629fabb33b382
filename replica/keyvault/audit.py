"""The audit log: one line of JSON for each request that was handled, refused ones too, in the shape of Azure's diagnostics.

Source: https://learn.microsoft.com/azure/key-vault/general/logging. A line is written before its answer is sent; it outlives
the process, not the loss of the machine's power. No body is ever in it, of a request or of an answer.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

_LONGEST_TEXT = 1024


@dataclass(slots=True)
class Event:
    """What is known of one request; filled while it is handled."""

    resource: str
    request_uri: str
    client_info: str
    caller_ip: str
    correlation_id: str
    operation: str = "Unknown"
    api_version: str = ""
    appid: str = ""
    oid: str = ""
    status: int = 500
    description: str = ""
    identifier: str = ""
    authorized: bool = False
    duration_ms: int = 0

    def line(self) -> dict[str, Any]:
        """As Azure's diagnostics have it."""
        succeeded = self.status < HTTPStatus.BAD_REQUEST
        return {
            "time": datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "category": "AuditEvent",
            "operationName": self.operation,
            "operationVersion": self.api_version[:_LONGEST_TEXT],
            "resultType": "Success" if succeeded else "Failed",
            "resultSignature": _signature(self.status),
            "resultDescription": self.description[:_LONGEST_TEXT],
            "durationMs": self.duration_ms,
            "callerIpAddress": self.caller_ip,
            "correlationId": self.correlation_id,
            "identity": self._identity(),
            "properties": {
                "id": self.identifier,
                "clientInfo": self.client_info[:_LONGEST_TEXT],
                "requestUri": self.request_uri[:_LONGEST_TEXT],
                "httpStatusCode": self.status,
                "isRbacAuthorized": self.authorized,
            },
            "resourceId": self.resource.upper(),
        }

    def _identity(self) -> dict[str, Any]:
        if not self.oid:
            return {}
        object_identifier = "http://schemas.microsoft.com/identity/claims/objectidentifier"
        return {"claim": {"appid": self.appid, object_identifier: self.oid}}


class AuditLog:
    """Appends to *path* (0600); past *most_bytes* it begins a new file and keeps *kept* old ones: `.1` is the youngest."""

    def __init__(self, path: Path, *, most_bytes: int = 16 * 1024**2, kept: int = 4) -> None:
        self._path, self._most_bytes, self._kept = path, most_bytes, kept
        self._lock = threading.Lock()
        self._file = self._open()

    def write(self, event: Event) -> None:
        """Append one line, whole or not at all; OSError where the disk takes no more."""
        line = json.dumps(event.line(), ensure_ascii=True).encode() + b"\n"
        with self._lock:
            size = os.fstat(self._file).st_size
            if size and size + len(line) > self._most_bytes:
                self._turn()
                size = 0
            # One call: a process killed in it leaves the line or nothing. Only a full disk takes a part of it.
            if os.write(self._file, line) < len(line):
                os.ftruncate(self._file, size)
                raise OSError(errno.ENOSPC, "the audit log cannot grow")

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _open(self) -> int:
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def _turn(self) -> None:
        os.close(self._file)
        for age in range(self._kept - 1, 0, -1):
            if self._old(age).exists():
                self._old(age).replace(self._old(age + 1))
        self._path.replace(self._old(1))
        self._file = self._open()

    def _old(self, age: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{age}")


def _signature(status: int) -> str:
    # As in `Not Found`; Azure writes `OK` and `Forbidden` alike.
    return HTTPStatus(status).phrase
