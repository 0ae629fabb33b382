"""A list of known vulnerabilities on loopback: answers OSV's query API (https://google.github.io/osv.dev/post-v1-query/)."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: As https://api.osv.dev/v1/query answers for idna 3.4, without its longer prose.
IDNA = {
    "vulns": [
        {
            "id": "PYSEC-2024-60",
            "details": "A vulnerability was identified in the kjd/idna library, specifically within the `idna.encode()` function.",
            "aliases": ["CVE-2024-3651", "GHSA-jjg7-2v4v-x38h"],
            "modified": "2024-07-11T17:42:19.664283Z",
            "published": "2024-07-07T18:15:00Z",
            "references": [
                {"type": "FIX", "url": "https://github.com/kjd/idna/commit/1d365e17e10d72d0b7876316fc7b9ca0eebdd38d"}
            ],
            "affected": [
                {
                    "package": {"name": "idna", "ecosystem": "PyPI", "purl": "pkg:pypi/idna"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.7"}]}],
                    "versions": ["3.3", "3.4", "3.5", "3.6"],
                    "database_specific": {
                        "source": "https://github.com/pypa/advisory-database/blob/main/vulns/idna/PYSEC-2024-60.yaml"
                    },
                }
            ],
            "schema_version": "1.6.0",
            "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
        }
    ]
}


class Osv:
    """What it is to answer, by package and version, and what it was asked."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[Any] = []
        self.status = HTTPStatus.OK

    def answer(self, query: Any) -> Any:
        self.asked.append(query)
        return IDNA if (query["package"]["name"], query["version"]) == ("idna", "3.4") else {}


@contextmanager
def osv() -> Generator[Osv]:
    """The server, for the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(known.answer(told)).encode()
            self.send_response(known.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing: a test's output is its own."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        known = Osv(f"http://127.0.0.1:{server.server_port}/v1/query")
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield known
        finally:
            server.shutdown()
