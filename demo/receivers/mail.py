"""A mail server that keeps what it is sent."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from email import message_from_bytes, policy
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from demo.receivers.received import LOOPBACK, Received


class _Controller(Controller):
    """Knows its port before it calls itself, which the library does to start."""

    def _trigger_server(self) -> None:
        if isinstance(self.server, asyncio.Server):
            self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


class MailReceiver:
    """Keeps what it is sent. *options*: of aiosmtpd's Controller, such as a TLS context."""

    def __init__(self, received: Received, port: int = 0, **options: Any) -> None:
        self._received = received
        self._controller = _Controller(self, hostname=LOOPBACK, port=port, **options)

    @property
    def port(self) -> int:
        """Known once it runs."""
        return self._controller.port

    @contextmanager
    def running(self) -> Generator[MailReceiver]:
        """Serve while the block runs."""
        self._controller.start()
        try:
            yield self
        finally:
            self._controller.stop()

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's
        """Called by the library; its answer is sent."""
        with self._received.lock:
            if self._received.mail_faults:
                return self._received.mail_faults.popleft()
            message = message_from_bytes(cast("bytes", envelope.content), policy=policy.default)
            mail = {name.lower(): str(value) for name, value in message.items()}
            mail |= {"body": message.get_content(), "readers": ", ".join(envelope.rcpt_tos)}
            self._received.mails.append(mail)
            self._received.note("mail", mail)
        return "250 OK"
