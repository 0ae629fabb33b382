"""The application as a process of its own, on a port of its own: where its servers are, and how it is started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from pydantic import BaseModel
from sqlalchemy import URL, make_url

from demo.customers.authentication import Caller, session_token
from demo.customers.parent import as_parent
from demo.customers.users import application_keys, owner
from replica.secrets import obtain
from steward.settings import Keyring, Settings, Vault, read_secret

_VARIABLE = "CUSTOMERS_DEPLOYMENT"
_MODULE = "demo.customers"
_SESSION_KEY = "session.key"


class Deployment(BaseModel):
    """All that the process is told; secrets by reference."""

    database: str
    password: str
    encrypted: bool = True
    vault: Vault | None = None
    keyring: Keyring | None = None
    load_seconds: float = 10.0
    session_key: str
    """Signs sessions."""

    def url(self) -> URL:
        """Of the database, for SQLAlchemy."""
        return make_url(self.database).set(drivername="postgresql+psycopg", password=read_secret(self.password))


def deployment(settings: Settings, secrets: Path, *, encrypted: bool = True, load_seconds: float = 10.0) -> Deployment:
    """On the replica's servers, as a user of vault and keyring that can read and unwrap, and nothing else. Its own secret in *secrets*."""
    obtain(secrets, _SESSION_KEY)
    at, (vault, keyring) = owner(settings), application_keys(settings)
    return Deployment(
        database=at.url,
        password=at.password,
        encrypted=encrypted,
        vault=vault,
        keyring=keyring,
        load_seconds=load_seconds,
        session_key=f"file:{secrets / _SESSION_KEY}",
    )


def token_of(told: Deployment, tenant: str, user: str = "ada") -> str:
    """A session of *user*'s, as if she had logged in."""
    return session_token(read_secret(told.session_key), Caller(user, tenant))


def given() -> Deployment:
    """In the process."""
    return Deployment.model_validate_json(os.environ[_VARIABLE])


class Served(NamedTuple):
    """Where it is."""

    url: str
    pid: int


@contextmanager
def serving(described: Deployment, log: Path, module: str = _MODULE) -> Generator[Served]:
    """The application (or another, *module*), running. Its port listens at once: who asks early is answered when it has started."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening, log.open("wb") as output:
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        # From here on it is the process's alone: should that die, whoever asks is refused and does not wait.
        process = _started(described, module, listening.fileno(), output)
    try:
        yield Served(url, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _started(described: Deployment, module: str, number: int, output: BinaryIO) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", module, str(number)],
        env={**os.environ, **as_parent(), _VARIABLE: described.model_dump_json()},
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=[number],
    )
