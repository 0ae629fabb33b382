"""Which addresses the settings take: hosts without users, passwords or paths, of people as well as of servers."""

from __future__ import annotations

from urllib.parse import urlsplit

#: Where what is sent in clear text stays on the machine.
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
#: An address and nothing else: no name, no list, nothing that would be another header.
MAILBOX = r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+$"


def is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        plain = parts.port != 0 and not (parts.username or parts.password or parts.query or parts.fragment)
    except ValueError:
        return False
    return parts.scheme == "https" and bool(parts.hostname) and plain and parts.path in {"", "/"}


def is_redis_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        plain = bool(parts.hostname and parts.port) and "@" not in parts.netloc
    except ValueError:
        return False
    return parts.scheme in {"redis", "rediss"} and plain and not (parts.path or parts.query or parts.fragment)


def api_address(url: str) -> str:
    """*url* without a slash at its end; ValueError where what is sent there would not stay secret."""
    parts = urlsplit(url)
    plain = parts.hostname and not (parts.username or parts.password or parts.query or parts.fragment)
    if not plain or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)):
        msg = "expected https://HOST or https://HOST/PATH, without user or query: the token is sent there"
        raise ValueError(msg)
    return url.rstrip("/")
