"""A proxy before one cluster that answers `GET /`, which the replica's Elasticsearch refuses, and adds the user's password.

elasticdump asks for the version first, and takes 405 for an error. So it is given neither password nor certificate.
"""

import http.client
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VERSION = "9.5.3"
_HOP = {"connection", "transfer-encoding", "content-length", "host", "authorization", "accept-encoding"}


@contextmanager
def answering(api):
    """The address of a proxy that passes on to *api*, as its user."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("_Handler", (_Passing,), {"api": api}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api = None

    def setup(self):
        super().setup()
        self.there = http.client.HTTPSConnection("127.0.0.1", self.api.port, context=self.api._context(), timeout=60)

    def finish(self):
        self.there.close()
        super().finish()

    def _pass(self):
        if self.command in {"GET", "HEAD"} and self.path == "/":
            self._answer(
                200, {"Content-Type": "application/json"}, json.dumps({"version": {"number": VERSION}}).encode()
            )
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        headers["Authorization"] = f"Basic {self.api._credentials()}"
        self.there.request(self.command, self.path, body or None, headers)
        answer = self.there.getresponse()
        self._answer(answer.status, dict(answer.getheaders()), answer.read())

    def _answer(self, status, headers, body):
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _pass  # noqa: N815  the base class's names

    def log_message(self, *args):
        """Nobody reads it."""
