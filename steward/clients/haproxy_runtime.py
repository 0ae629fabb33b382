"""HAProxy's runtime API: one command a connection, its answer to the end, within a bounded time."""

from __future__ import annotations

import socket
import time
from contextlib import closing
from dataclasses import dataclass

from steward.clients.haproxy_errors import BalancerAway, BalancerRefused

TIMEOUT_SECONDS = 2.0
_MOST_BYTES = 8 * 1024**2
# Each answer is closed by an empty line; a change says nothing else.
_DONE, _END = "\n", "\n\n"


@dataclass(frozen=True)
class Runtime:
    """*address* as in the settings: `unix:PATH` or `tcp:HOST:PORT`."""

    address: str
    timeout_seconds: float = TIMEOUT_SECONDS

    def ask(self, command: str) -> str:
        """The answer to a question, whatever it says. BalancerAway where it does not end in time."""
        try:
            answer = self._exchange(command)
        except OSError as error:
            raise BalancerAway(self.address, f"{type(error).__name__}: {error}") from None
        if answer != _DONE and not answer.endswith(_END):
            raise BalancerAway(self.address, f"the answer to {command!r} ended before its end")
        return answer

    def change(self, command: str) -> None:
        """Have it done; BalancerRefused with HAProxy's own words where it is not."""
        answer = self.ask(command)
        if answer != _DONE:
            raise BalancerRefused(self.address, command, answer.strip().partition("\n")[0])

    def _exchange(self, command: str) -> str:
        deadline = time.monotonic() + self.timeout_seconds
        with closing(self._connect()) as connection:
            connection.sendall(f"{command}\n".encode())
            found = bytearray()
            while len(found) < _MOST_BYTES:
                # Zero would mean never to wait, and none for ever.
                connection.settimeout(max(deadline - time.monotonic(), 0.001))
                chunk = connection.recv(65_536)
                if not chunk:
                    return found.decode(errors="replace")
                found += chunk
        raise BalancerRefused(self.address, command, f"its answer has more than {_MOST_BYTES} bytes")

    def _connect(self) -> socket.socket:
        kind, _, where = self.address.partition(":")
        if kind == "tcp":
            host, _, port = where.rpartition(":")
            return socket.create_connection((host, int(port)), self.timeout_seconds)
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(self.timeout_seconds)
            connection.connect(where)
        except OSError:
            connection.close()
            raise
        return connection
