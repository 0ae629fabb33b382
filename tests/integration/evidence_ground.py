"""Logs of a test's own on real servers, and what somebody with the database's password can do to one."""

from __future__ import annotations

import json
import secrets
from collections.abc import Generator
from contextlib import contextmanager

import tomli_w
from psycopg import sql

from steward.clients.postgres import connect
from steward.evidence import store
from steward.evidence.__main__ import main
from steward.evidence.envelopes import sign, verify
from steward.evidence.signers import open_signer
from steward.settings import Settings
from tests.integration.fresh_database import changed, superuser
from tests.unit.evidence_samples import statement


def new_statement(**changes):
    """One that no other test has made: the bucket is shared, and nothing in it can be deleted."""
    return statement(subject=f"cluster-{secrets.token_hex(6)}", **changes)


def append(settings: Settings, *statements) -> list[store.Recorded]:
    """Their rows and entries, and nothing else: what a run leaves that is killed right after the database's commit."""
    signer = open_signer(settings)
    envelopes = [(made, sign(made.payload(), signer)) for made in statements]
    with connect(settings) as connection:
        return [
            store.append(connection, made, verify(envelope, signer.public_key), envelope)
            for made, envelope in envelopes
        ]


class Command:
    """`python -m steward.evidence` with these settings."""

    def __init__(self, folder, capsys) -> None:
        self._folder, self._capsys = folder, capsys

    def __call__(self, settings: Settings, *arguments: object, status: int = 0) -> str:
        file = self._folder / f"settings-{secrets.token_hex(4)}.toml"
        file.write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))
        done = main([*map(str, arguments), "--settings", str(file)])
        told = self._capsys.readouterr()
        assert done == status, told
        return told.out + told.err

    def findings(self, settings: Settings, *arguments: object, status: int = 1) -> list[tuple[str, int | None]]:
        told = json.loads(self(settings, "verify", *arguments, "--json", status=status))
        return [(one["kind"], one["index"]) for one in told["findings"]]


@contextmanager
def older_state(settings: Settings) -> Generator[Settings]:
    """A copy of the database as it is now: what a restore from a backup gives back later."""
    original, copy = settings.postgres.url.rsplit("/", 1)[1], f"test_{secrets.token_hex(6)}"
    names = {"copy": sql.Identifier(copy), "original": sql.Identifier(original)}
    with superuser(settings) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {copy} TEMPLATE {original} OWNER steward").format(**names))
    try:
        yield changed(settings, "postgres", url=settings.postgres.url.rsplit("/", 1)[0] + f"/{copy}")
    finally:
        with superuser(settings) as connection:
            connection.execute(sql.SQL("DROP DATABASE {copy} WITH (FORCE)").format(**names))


def tamper(settings: Settings, change: tuple[object, ...]) -> None:
    """Run *change*, SQL and its values, as the tables' owner, who can switch off whatever stands in the way."""
    tables = ("evidence", "log_entries", "log_nodes", "log_checkpoints", "log_anchored")
    with connect(settings) as connection:
        connection.execute("ALTER TABLE steward.evidence DROP CONSTRAINT IF EXISTS digest_names_the_payload")
        for table in tables:
            connection.execute(sql.SQL("ALTER TABLE steward.{} DISABLE TRIGGER USER").format(sql.Identifier(table)))
        connection.execute(change[0], change[1:])
        for table in tables:
            connection.execute(sql.SQL("ALTER TABLE steward.{} ENABLE TRIGGER USER").format(sql.Identifier(table)))
