"""The process: `python -m tests.integration.fieldcrypt_application FD`, which listens already."""

from __future__ import annotations

import importlib
import socket
import sys

import uvicorn
from sqlalchemy.ext.asyncio import create_async_engine

from steward.clients.tenantkeys import open_tenant_keys
from steward.fieldcrypt.cachepolicy import CachePolicy
from tests.integration.fieldcrypt_application.application import encrypted_application, plain_application
from tests.integration.fieldcrypt_application.deployment import given

#: One of the two is imported: what listens to SQLAlchemy for encrypted columns has no place in the twin.
_HERE = "tests.integration.fieldcrypt_application"


def main(number: str) -> None:
    """Until SIGTERM."""
    told = given()
    engine = create_async_engine(told.url(), pool_size=8)
    if told.encrypted:
        assert told.vault is not None
        assert told.keyring is not None
        keys = open_tenant_keys(told.vault, told.keyring, CachePolicy(load_seconds=told.load_seconds))
        app = encrypted_application(engine, importlib.import_module(f"{_HERE}.models").Customer, told.tokens, keys)
    else:
        app = plain_application(engine, importlib.import_module(f"{_HERE}.plain").PlainCustomer, told.tokens)
    # Not by uvicorn's own `fd`, which takes it for a UNIX socket and leaves Nagle's algorithm on: 40 ms a request.
    listening = socket.socket(fileno=int(number))
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run(sockets=[listening])


if __name__ == "__main__":
    main(sys.argv[1])
