"""Whom a client trusts that is told of no certificates of its own: the public authorities, or those that SSL_CERT_FILE names."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def authorities() -> ssl.SSLContext:
    """One for the whole process: reading them takes 20 ms, longer than most requests."""
    return httpx.create_ssl_context()
