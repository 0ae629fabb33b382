"""HTTPS calls to one node, as little as probes, settling and recording need: TLS 1.3, one user, JSON."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from replica.elasticsearch.clusters import Cluster
from replica.server import Place

# The contract of a probe: done within 5 s, several calls included.
_SECONDS = 4


class Refused(Exception):
    """The node answered, but not with success. `status` is the HTTP status; the text is its reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"HTTP {status}: {reason}")
        self.status = status


@dataclass(frozen=True)
class Api:
    """One user at one node."""

    port: int
    ca_file: Path
    username: str
    password: str = field(repr=False)

    def call(self, method: str, path: str, body: object = None, *, timeout_seconds: float = _SECONDS) -> Any:
        """The answer's JSON. Refused where the status is not 2xx, OSError where nobody answers."""
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", method=method)
        request.add_header("Authorization", f"Basic {self._credentials()}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=timeout_seconds, context=self._context()) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Refused(error.code, error.read().decode(errors="replace")[:300]) from None

    def _credentials(self) -> str:
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.ca_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context


def connect(place: Place, cluster: Cluster, node: str, username: str) -> Api:
    """*username* of *cluster* at *node*'s own port; nothing is sent yet."""
    return Api(place.port(node, "http"), place.ca_file, username, place.secret(cluster.secret(username)))
