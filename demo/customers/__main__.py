"""The process: `python -m demo.customers FD`, which listens already."""

from __future__ import annotations

import importlib
import socket
import sys
from typing import Any

import uvicorn
from sqlalchemy.ext.asyncio import create_async_engine

from demo.customers.application import application
from demo.customers.deployment import Deployment, given
from demo.customers.parent import end_with_parent
from steward.clients.tenantkeys import open_tenant_keys
from steward.fieldcrypt.cachepolicy import CachePolicy
from steward.fieldcrypt.tenantkeys import TenantKeys
from steward.settings import read_secret

_HERE = "demo.customers"
#: All of them stay open: one more for a request, and closed after it, costs a login of 10 ms of a processor.
_CONNECTIONS = 18


def main(number: str) -> None:
    """Until SIGTERM, or until whoever started it is gone."""
    end_with_parent()
    told = given()
    engine = create_async_engine(told.url(), pool_size=_CONNECTIONS, max_overflow=0)
    app = application(engine, model_of(told), read_secret(told.session_key), keys_of(told))
    # With its access log, as in production.
    serve(app, number, log_level="info")


def model_of(told: Deployment) -> Any:
    """One of the two is imported: what SQLAlchemy is taught for encrypted columns has no place in the twin."""
    if told.encrypted:
        return importlib.import_module(f"{_HERE}.models").Customer
    return importlib.import_module(f"{_HERE}.plain").PlainCustomer


def keys_of(told: Deployment) -> TenantKeys | None:
    """The twin needs none."""
    if not told.encrypted or told.vault is None or told.keyring is None:
        return None
    return open_tenant_keys(told.vault, told.keyring, CachePolicy(load_seconds=told.load_seconds))


def serve(app: Any, number: str, **how: Any) -> None:
    """On the socket that has this file descriptor, until SIGTERM."""
    # Not by uvicorn's own `fd`, which takes it for a UNIX socket and leaves Nagle's algorithm on: 40 ms a request.
    listening = socket.socket(fileno=int(number))
    uvicorn.Server(uvicorn.Config(app, **how)).run(sockets=[listening])


if __name__ == "__main__":
    main(sys.argv[1])
