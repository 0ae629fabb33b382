"""The keyring's tables out of one moment, and back: into a scratch for the proof, into an empty keyring for the restore.

By COPY and not by pg_dump: that must be as new as the server, and is not where flows run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import psycopg
from psycopg import sql

from steward.clients import keyring_rows
from steward.clients.postgres import Connection, Database, connect
from steward.fieldcrypt.errors import TenantUnknown
from steward.fieldcrypt.keyring import Wrap
from steward.keys.backups_errors import BackupUnreadable, KeyringNotEmpty, RestoreDiffers
from steward.keys.backups_format import Header, PartWriter, TablePart, assemble, read_header, text_of

#: A keyring of ten thousand tenants is read in seconds; a slow disk may take longer.
TIMEOUT_SECONDS = 600
#: Numbers that are left out after a restore: a key that the backup does not know must not share its id with a new one.
KEY_ID_GAP = 1_000_000

# Which processes hold keys in memory is of no use later, and the schema's revision is laid by its migrations.
_LEFT_OUT = ["alembic_version", "readers"]


@dataclass(frozen=True)
class Dumped:
    """A backup's bytes, and what of it is worth knowing without them."""

    header: Header
    body: bytes
    erased: tuple[str, ...]


@dataclass(frozen=True)
class SampledWrap:
    """A living generation's newest wrap, as the scratch has it."""

    tenant: str
    key_id: int
    wrap: Wrap


@dataclass(frozen=True)
class Scratched:
    """What the tables of a backup look like once PostgreSQL has taken them in."""

    findings: tuple[str, ...]
    living: int
    sample: tuple[SampledWrap, ...]


@dataclass(frozen=True)
class Restored:
    """What an empty keyring holds now."""

    rows: dict[str, int]
    erased_again: tuple[str, ...]
    epoch: int


@dataclass(frozen=True)
class _Table:
    name: str
    columns: list[str]
    key: list[str]
    refers_to: list[str]


def dump(database: Database) -> Dumped:
    """All tables of the keyring as they were at one moment."""
    with connect(database, statement_timeout_seconds=TIMEOUT_SECONDS) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        _settle_text(connection)
        taken_at, epoch, revision = _row(connection, _MOMENT)
        written = [_written(connection, table) for table in _tables(connection)]
        erased = tuple(tenant for (tenant,) in connection.execute(_ERASED).fetchall())
        # After the tables: numbers are drawn without regard to transactions, and these must be the greater ones.
        sequences = {name: last for name, last in connection.execute(_SEQUENCES).fetchall() if last is not None}
    header = Header(
        taken_at=taken_at,
        epoch=epoch,
        revision=revision,
        tables=tuple(part for part, _ in written),
        sequences=sequences,
    )
    return Dumped(header, assemble(header, [member for _, member in written]), erased)


def into_scratch(database: Database, body: bytes, sample: int) -> Scratched:
    """Load *body* into temporary tables beside the keyring's own, write them out again, and compare.

    Gives up to *sample* living keys' wraps from there, chosen by the backup's own digests. BackupUnreadable.
    """
    header = read_header(body)
    with connect(database, statement_timeout_seconds=TIMEOUT_SECONDS) as connection:
        _settle_text(connection)
        tables = {table.name: table for table in _tables(connection)}
        findings = _refused_by_shape(header, tables)
        if findings:
            return Scratched(findings, 0, ())
        for part in header.tables:
            source = sql.SQL("CREATE TEMP TABLE {} (LIKE keyring.{}) ON COMMIT DROP")
            connection.execute(source.format(_scratch(part.name), sql.Identifier(part.name)))
            _fill(connection, _scratch(part.name), part, body, header)
            again = _written(connection, tables[part.name], _scratch(part.name))[0]
            findings += _differences(part, again)
        living = int(_row(connection, _LIVING)[0])
        rows = connection.execute(_SAMPLE, {"seed": header.tables[0].sha256, "most": sample}).fetchall()
    sampled = tuple(SampledWrap(tenant, key_id, Wrap(kek, bytes(wrapped))) for tenant, key_id, kek, wrapped in rows)
    return Scratched(findings, living, sampled)


def restore(database: Database, body: bytes, erased: Iterable[str]) -> Restored:
    """Fill the empty keyring of *database*, compare it with the backup, and erase again whom *erased* names.

    In one transaction: nobody ever sees the keys of the erased, and what fails leaves the keyring empty. Raises
    KeyringNotEmpty, BackupUnreadable, RestoreDiffers.
    """
    header = read_header(body)
    with connect(database, statement_timeout_seconds=TIMEOUT_SECONDS) as connection:
        _settle_text(connection)
        tables = {table.name: table for table in _tables(connection)}
        _refuse(connection, header, tables)
        for part in header.tables:
            _restore_table(connection, tables[part.name], part, body, header)
        for name, last in header.sequences.items():
            gap = KEY_ID_GAP if name == "key_ids" else 0
            connection.execute("SELECT setval(format('keyring.%%I', %s::text)::regclass, %s)", (name, last + gap))
        again = tuple(tenant for tenant in erased if _erased_again(connection, tenant))
        epoch = int(_row(connection, "SELECT coalesce(max(epoch), 0) FROM keyring.epochs")[0])
    return Restored({part.name: part.rows for part in header.tables}, again, epoch)


def erase_again(database: Database, erased: Iterable[str]) -> tuple[str, ...]:
    """Erase in a keyring that came back by other means whom *erased* names; those it still had keys of."""
    with connect(database, statement_timeout_seconds=TIMEOUT_SECONDS) as connection:
        return tuple(tenant for tenant in erased if _erased_again(connection, tenant))


def _erased_again(connection: Connection, tenant: str) -> bool:
    held = connection.execute("SELECT erased_at IS NULL FROM keyring.tenants WHERE tenant = %s", [tenant]).fetchone()
    try:
        keyring_rows.erase(connection, tenant)
    except TenantUnknown:
        return False
    return bool(held and held[0])


def _settle_text(connection: Connection) -> None:
    """So that the same rows are the same text, whatever the server's or the user's settings."""
    connection.execute(
        "SET LOCAL bytea_output = 'hex'; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; "
        "SET LOCAL intervalstyle = 'postgres'; SET LOCAL extra_float_digits = 1"
    )


def _tables(connection: Connection) -> list[_Table]:
    """Each after those that it refers to."""
    found = {row[0]: _Table(*row) for row in connection.execute(_TABLES, {"left_out": _LEFT_OUT}).fetchall()}
    order = TopologicalSorter({name: set(table.refers_to) - {name} for name, table in sorted(found.items())})
    return [found[name] for name in order.static_order()]


def _written(connection: Connection, table: _Table, source: sql.Composable | None = None) -> tuple[TablePart, bytes]:
    writer = PartWriter(table.name, table.columns)
    ordered = [sql.SQL('{}::text COLLATE "C"').format(sql.Identifier(each)) for each in table.key or table.columns]
    query = sql.SQL("COPY (SELECT {} FROM {} ORDER BY {}) TO STDOUT").format(
        _columns(table.columns), source or _own(table.name), sql.SQL(", ").join(ordered)
    )
    with connection.cursor() as cursor, cursor.copy(query) as copy:
        for block in copy:
            writer.feed(bytes(block))
    return writer.done()


def _fill(connection: Connection, target: sql.Composable, part: TablePart, body: bytes, header: Header) -> None:
    query = sql.SQL("COPY {} ({}) FROM STDIN").format(target, _columns(part.columns))
    try:
        with connection.cursor() as cursor, cursor.copy(query) as copy:
            for block in text_of(body, header, part):
                copy.write(block)
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        raise BackupUnreadable(
            f"PostgreSQL does not take table {part.name} of the backup: {error.diag.message_primary}",
            hint="it was damaged before it was stored: take another backup, and restore that",
        ) from None


def _restore_table(connection: Connection, table: _Table, part: TablePart, body: bytes, header: Header) -> None:
    # The rules say how a key's life goes on, step by step; this is a whole life at once, which obeyed them.
    for word in ("DISABLE", "ENABLE"):
        if word == "ENABLE":
            _fill(connection, _own(part.name), part, body, header)
        connection.execute(sql.SQL("ALTER TABLE {} {} TRIGGER USER").format(_own(part.name), sql.SQL(word)))
    if differing := _differences(part, _written(connection, table)[0]):
        raise RestoreDiffers(differing[0], hint="nothing was restored; take another backup")


def _refuse(connection: Connection, header: Header, tables: dict[str, _Table]) -> None:
    revision = str(_row(connection, "SELECT version_num FROM keyring.alembic_version")[0])
    if revision != header.revision or _refused_by_shape(header, tables):
        raise BackupUnreadable(
            f"the backup is of a keyring at revision {header.revision}, and this one is at {revision}",
            hint="restore it into a database that holds nothing yet; `python -m steward migrate` brings it on afterwards",
        )
    for name in tables:
        if connection.execute(sql.SQL("SELECT 1 FROM {} LIMIT 1").format(_own(name))).fetchone():
            raise KeyringNotEmpty(
                f"table {name} of that keyring has rows, and a backup is restored into an empty one only",
                hint="CREATE DATABASE for it, and let --to name that; the settings can be pointed at it afterwards",
            )


def _refused_by_shape(header: Header, tables: dict[str, _Table]) -> tuple[str, ...]:
    wanted = {name: table.columns for name, table in tables.items()}
    held = {part.name: list(part.columns) for part in header.tables}
    if wanted == held:
        return ()
    return (f"the backup has tables {', '.join(held)}, and the keyring {', '.join(wanted)}: or other columns in them",)


def _differences(part: TablePart, again: TablePart) -> tuple[str, ...]:
    if (part.rows, part.sha256) == (again.rows, again.sha256):
        return ()
    return (f"table {part.name} was backed up with {part.rows:,} rows and comes back otherwise, with {again.rows:,}",)


def _scratch(name: str) -> sql.Identifier:
    return sql.Identifier(f"scratch_{name}")


def _own(name: str) -> sql.Identifier:
    return sql.Identifier("keyring", name)


def _columns(names: Sequence[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _row(connection: Connection, query: Any) -> tuple[Any, ...]:
    return connection.execute(query).fetchall()[0]


_MOMENT = """
SELECT statement_timestamp(), (SELECT coalesce(max(epoch), 0) FROM keyring.epochs),
       (SELECT version_num FROM keyring.alembic_version)
"""

_ERASED = "SELECT tenant FROM keyring.tenants WHERE erased_at IS NOT NULL ORDER BY tenant"

_SEQUENCES = "SELECT sequencename::text, last_value FROM pg_sequences WHERE schemaname = 'keyring' ORDER BY 1"

# Generated columns apart, which COPY does not take back.
_TABLES = """
SELECT c.relname::text,
       ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0
             AND NOT a.attisdropped AND a.attgenerated = '' ORDER BY a.attnum),
       ARRAY(SELECT a.attname::text FROM pg_index i CROSS JOIN unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
             WHERE i.indrelid = c.oid AND i.indisprimary ORDER BY k.place),
       ARRAY(SELECT r.relname::text FROM pg_constraint f JOIN pg_class r ON r.oid = f.confrelid
             WHERE f.conrelid = c.oid AND f.contype = 'f')
FROM pg_class c
WHERE c.relnamespace = 'keyring'::regnamespace AND c.relkind = 'r' AND c.relname <> ALL(%(left_out)s)
"""

_LIVING = "SELECT count(*) FROM scratch_generations WHERE state <> 'destroyed'"

_SAMPLE = """
SELECT tenant, key_id, kek, wrapped FROM (
    SELECT DISTINCT ON (g.key_id) g.tenant, g.key_id, w.kek, w.wrapped
      FROM scratch_generations g JOIN scratch_wraps w USING (key_id)
     WHERE g.state <> 'destroyed' ORDER BY g.key_id, w.ordinal DESC
) AS newest ORDER BY md5(%(seed)s || key_id::text) LIMIT %(most)s
"""
