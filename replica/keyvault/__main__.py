"""`python -m replica.keyvault CONFIGURATION.toml`: serves until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Generator
from pathlib import Path

import uvicorn

from replica.keyvault import tables
from replica.keyvault.audit import AuditLog
from replica.keyvault.configuration import Configuration, load
from replica.keyvault.login import Login
from replica.keyvault.sealing import Seal
from replica.keyvault.store import Store
from replica.keyvault.tokens import Checker, Issuer
from replica.keyvault.vault import Vault
from steward.errors import StewardError

_FAREWELL_SECONDS = 3


class _Server(uvicorn.Server):
    """Leaves signals to the one place that ends both listeners."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


def main(arguments: list[str]) -> int:
    """0 after an orderly end, 2 for a configuration that cannot be used."""
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        configuration = load(Path(arguments[0]))
    except StewardError as error:
        print(error, file=sys.stderr)
        return 2
    vault, login = _open(configuration)
    servers = [
        _server(configuration, vault, configuration.vault_port),
        _server(configuration, login.application(), configuration.login_port),
    ]
    asyncio.run(_serve(servers))
    vault.close()
    return 0


def _open(configuration: Configuration) -> tuple[Vault, Login]:
    folder = Path(configuration.folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    issuer = Issuer(folder / "issuer.key", configuration.issuer, configuration.tenant)
    seal = Seal(Path(configuration.seal_file or folder / "seal.key"), configuration.subscription)
    store, audit = (
        Store(folder / "vault.db", transition_seconds=configuration.transition_seconds),
        AuditLog(folder / "audit.log"),
    )
    vault = Vault(configuration, store, seal, audit, Checker(issuer.jwks(), configuration.issuer))
    vault.serve(tables.OPERATIONS)
    return vault, Login(configuration, issuer)


async def _serve(servers: list[_Server]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, _end, servers)
    await asyncio.gather(*(server.serve() for server in servers))


def _server(configuration: Configuration, application: object, port: int) -> _Server:
    return _Server(
        uvicorn.Config(
            application,  # pyright: ignore[reportArgumentType] -- an ASGI application, which uvicorn types by three names
            host="127.0.0.1",
            port=port,
            ssl_certfile=configuration.certificate,
            ssl_keyfile=configuration.certificate_key,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            # Whatever else is installed: what is refused before it reaches the vault would not be in the vault's log.
            http="h11",
            # Longer than clients keep idle connections: none is closed under a request that is on its way.
            timeout_keep_alive=120,
            timeout_graceful_shutdown=_FAREWELL_SECONDS,
        )
    )


def _end(servers: list[_Server]) -> None:
    for server in servers:
        server.should_exit = True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
