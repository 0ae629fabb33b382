"""The outside world of the drill, in a process of its own: `python -m tests.drills.operations.effect_log FILE`.

It takes files, tagged resources, workspaces and e-mail, and writes each down, fsynced, before it answers: what happened
is judged from here, not from the ledger. It also holds whoever comes to a gate that the drill has armed: the effect is
then written down, and its answer withheld. Standard output tells its two ports, in one line of JSON.
"""

import json
import os
import socketserver
import sys
import threading
import time
import uuid
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

HELD_SECONDS = 600


class World:
    """What has been made, and who is held where. One lock: what arrives is in one order."""

    def __init__(self, path) -> None:
        self.log = path.open("ab")
        self.lock = threading.Lock()
        self.files, self.resources, self.workspaces = set(), {}, set()
        self.armed, self.held = {}, set()

    def record(self, headers, effect, name):
        """Append, under the lock, before anything is answered."""
        entry = {"at": time.time(), "effect": effect, "name": name, "case": headers["X-Case"]}
        entry |= {"token": int(headers["X-Token"]), "attempt": int(headers["X-Attempt"])}
        self.log.write(json.dumps(entry).encode() + b"\n")
        self.log.flush()
        os.fsync(self.log.fileno())

    def gate(self, headers):
        """Hold the first that comes here, if the drill asked for it, until it lets go."""
        place = (headers["X-Case"], headers["X-Point"])
        with self.lock:
            release = self.armed.get(place)
            if release is None or place in self.held:
                return
            self.held.add(place)
        release.wait(HELD_SECONDS)

    def make(self, made, headers, effect, name):
        """Whether *name* was made by this very request: it is written down only then."""
        with self.lock:
            if name in made:
                return False
            self.record(headers, effect, name)
            made.add(name)
            return True

    def remove(self, made, headers, effect, name):
        """Whether *name* was there until this request."""
        with self.lock:
            if name not in made:
                return False
            self.record(headers, effect, name)
            made.pop(name) if isinstance(made, dict) else made.discard(name)
            return True


class Door(BaseHTTPRequestHandler):
    """HTTP. Nothing is idempotent here but what says so."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        _, what, *_ = self.path.split("/")
        world = self.server.world
        with world.lock:
            if what == "held":
                self._answer(200, sorted(world.held))
            else:
                tag = parse_qs(urlsplit(self.path).query)["tag"][0]
                self._answer(200, [each for each, tagged in world.resources.items() if tagged == tag])

    def do_PUT(self):
        world, (what, name) = self.server.world, self._named()
        if what == "files":
            made = world.make(world.files, self.headers, "file", name)
            # The answer of a store to a second `If-None-Match: *`.
            self._gated(201 if made else 412)
        else:
            world.make(world.workspaces, self.headers, "workspace", name)
            self._gated(201)

    def do_POST(self):
        world, (what, name) = self.server.world, self._named()
        if what == "resources":
            identity = uuid.uuid4().hex
            with world.lock:
                world.record(self.headers, "resource", identity)
                world.resources[identity] = name
            self._gated(201, identity)
        elif what == "gates":
            self._gated(200)
        elif what == "arm":
            with world.lock:
                world.armed[tuple(self._body())] = threading.Event()
            self._answer(200)
        else:
            world.armed[tuple(self._body())].set()
            self._answer(200)

    def do_DELETE(self):
        world, (what, name) = self.server.world, self._named()
        made, effect = {
            "resources": (world.resources, "resource removed"),
            "workspaces": (world.workspaces, "workspace removed"),
        }[what]
        self._gated(200 if world.remove(made, self.headers, effect, name) else 404)

    def _named(self):
        _, what, *name = self.path.split("/")
        return what, unquote("/".join(name))

    def _body(self):
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _gated(self, status, body=None):
        self.server.world.gate(self.headers)
        self._answer(status, body)

    def _answer(self, status, body=None):
        text = json.dumps(body).encode()
        try:
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)
        except OSError:
            # Whoever asked was killed while it was held: what the drill is for.
            self.close_connection = True

    def log_message(self, *_):
        """Its log is the log of effects."""


class Letterbox(socketserver.StreamRequestHandler):
    """As much of SMTP (RFC 5321) as smtplib speaks: every message is accepted, and written down before the 250."""

    def handle(self):
        try:
            self._converse()
        except OSError:
            return

    def _converse(self):
        self._say("220 drill")
        while words := self.rfile.readline().split():
            verb = words[0].upper()
            if verb == b"DATA":
                self._say("354 go on")
                self._receive()
            elif verb == b"QUIT":
                return self._say("221 bye")
            self._say("250 ok")
        return None

    def _receive(self):
        lines = iter(self.rfile.readline, b".\r\n")
        message = message_from_bytes(b"".join(lines))
        world = self.server.world
        with world.lock:
            world.record(message, "mail", message["Message-ID"])
        world.gate(message)

    def _say(self, text):
        self.wfile.write(text.encode() + b"\r\n")


class Post(socketserver.ThreadingTCPServer):
    """SMTP."""

    allow_reuse_address = True
    daemon_threads = True


def main(path):
    """Serve until killed."""
    world = World(path)
    http, smtp = ThreadingHTTPServer(("127.0.0.1", 0), Door), Post(("127.0.0.1", 0), Letterbox)
    http.world = smtp.world = world
    threading.Thread(target=smtp.serve_forever, daemon=True).start()
    print(json.dumps({"http": http.server_port, "smtp": smtp.server_address[1]}), flush=True)  # noqa: T201  told to the drill
    http.serve_forever()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
