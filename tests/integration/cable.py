"""A cable to a server on loopback that a test can pull out and put back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress


class Cable:
    """Carries TCP from its own port to *leads_to*, while it is in."""

    def __init__(self, leads_to: int) -> None:
        self._leads_to = leads_to
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._is_in = True
        self._gate = threading.Event()
        self._gate.set()
        self._ends: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def pull(self) -> None:
        """Connections break, and none is made."""
        with self._lock:
            self._is_in = False
            for end in self._ends:
                _shut(end)

    def hold(self) -> None:
        """Connections stay, are made, and carry nothing: as to a server that hangs."""
        self._gate.clear()

    def put_back(self) -> None:
        """Connections can be made again, and carry what they are given."""
        with self._lock:
            self._is_in = True
        self._gate.set()

    def close(self) -> None:
        self.pull()
        self._gate.set()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", self._leads_to))
            with self._lock:
                self._ends |= {near, far}
                if not self._is_in:
                    _shut(near), _shut(far)
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while piece := source.recv(65536):
                self._gate.wait()
                target.sendall(piece)
        # Both ends: half a connection is none here.
        with self._lock:
            for end in (source, target):
                _shut(end)
                if end in self._ends and end is source:
                    self._ends.discard(end)
                    end.close()


def _shut(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def cable(leads_to: int) -> Generator[Cable]:
    """A new one."""
    made = Cable(leads_to)
    try:
        yield made
    finally:
        made.close()
