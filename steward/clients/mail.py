"""A mail over SMTP, with a Message-ID that is the same at a second try: clients then show one."""

from __future__ import annotations

import smtplib
import socket
import ssl
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, localtime

from steward.clients.secrets import read_secret
from steward.errors import BadInput, StewardError
from steward.notices.errors import NoticeUnfit, ReceiverRefused, ReceiverUnavailable
from steward.settings import MailTarget, Vault

_HINT = "see [notices.targets.…] in the settings, and the server's own log"
#: From here on a reply is final (RFC 5321, 4.2.1).
_FINAL = 500


@dataclass(frozen=True)
class Letter:
    """What is sent. Its ids are what stands before the `@`; `follows` is that of the first of its thread."""

    subject: str
    body: str
    id: str
    follows: str


def send_mail(target: MailTarget, vault: Vault | None, letter: Letter, seconds: float) -> None:
    """Hand it to the server, for all of its readers at once; each reply has *seconds*.

    Raises NoticeUnfit, ReceiverUnavailable, ReceiverRefused, BadInput, and what reading the secret raises.
    """
    message = written(target, letter)
    password = read_secret(target.user.password, vault) if target.user else ""
    certificates = _certificates(target)
    try:
        with _connected(target, certificates, seconds) as server:
            if target.user:
                server.login(target.user.username, password)
            refused = server.send_message(message, from_addr=target.sender, to_addrs=target.to)
    except (smtplib.SMTPException, OSError) as error:
        told = _told(error)
    else:
        if not refused:
            return
        told = ReceiverRefused(f"the mail server refuses {len(refused)} of {len(target.to)} readers", hint=_HINT)
    # Not chained: an answer of the server's may quote addresses, or what it was sent.
    raise told


def written(target: MailTarget, letter: Letter) -> EmailMessage:
    """The message as it is sent. Raises NoticeUnfit where a header would be more than one."""
    domain = target.sender.rpartition("@")[2]
    message = EmailMessage(policy=SMTP)
    try:
        message["Subject"] = letter.subject
        message["Message-ID"] = f"<{letter.id}@{domain}>"
    except ValueError:
        raise NoticeUnfit("the subject of the mail is more than one line", hint="see mail_subject.txt.j2") from None
    if letter.follows != letter.id:
        message["In-Reply-To"] = message["References"] = f"<{letter.follows}@{domain}>"
    message["From"] = target.sender
    message["To"] = ", ".join(target.to)
    message["Date"] = format_datetime(localtime())
    # RFC 3834: no absence notes come back.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.body)
    return message


def _connected(target: MailTarget, certificates: ssl.SSLContext, seconds: float) -> smtplib.SMTP:
    # A name of its own, for the library would ask DNS for it.
    name = socket.gethostname()
    if target.tls == "tls":
        return smtplib.SMTP_SSL(target.host, target.port, local_hostname=name, timeout=seconds, context=certificates)
    server = smtplib.SMTP(target.host, target.port, local_hostname=name, timeout=seconds)
    if target.tls == "starttls":
        try:
            # Raises where it is not offered: nothing goes on in clear text.
            server.starttls(context=certificates)
        except BaseException:
            with suppress(OSError, smtplib.SMTPException):
                server.close()
            raise
    return server


def _certificates(target: MailTarget) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=target.ca_file)
    except OSError as error:
        told = f"cannot read the authorities of the mail server: {type(error).__name__}"
    raise BadInput(told, hint="ca_file in [notices.targets.…] names a PEM file of certificates")


def _told(error: smtplib.SMTPException | OSError) -> StewardError:
    said = type(error).__name__
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = sorted({code for code, _ in error.recipients.values()})
        if all(code < _FINAL for code in codes):
            return ReceiverUnavailable(f"the mail server takes no reader now: {codes}", hint=_HINT)
        return ReceiverRefused(f"the mail server refuses every reader: {codes}", hint=_HINT)
    if isinstance(error, smtplib.SMTPResponseException):
        code = f"{said} {error.smtp_code}"
        if error.smtp_code >= _FINAL:
            return ReceiverRefused(f"the mail server refuses it: {code}", hint=_HINT)
        return ReceiverUnavailable(f"the mail server cannot take it now: {code}", hint=_HINT)
    if isinstance(error, smtplib.SMTPNotSupportedError | ssl.SSLCertVerificationError):
        return ReceiverRefused(f"the mail server has no TLS that can be trusted, or no login: {said}", hint=_HINT)
    return ReceiverUnavailable(f"the mail server does not answer: {said}", hint=_HINT, may_have_arrived=True)
