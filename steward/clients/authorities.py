"""Whom a client trusts that is told of no certificates of its own: the public authorities, or those that SSL_CERT_FILE names."""

from __future__ import annotations

import ssl
from functools import cache

import httpx

from steward.errors import BadInput


@cache
def authorities() -> ssl.SSLContext:
    """One for the whole process: reading them takes 20 ms, longer than most requests. BadInput for a file that cannot be read."""
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        told = f"cannot read the authorities that SSL_CERT_FILE or SSL_CERT_DIR names: {type(error).__name__}"
    raise BadInput(told, hint="let it name certificates in PEM, or unset it for the public authorities")
