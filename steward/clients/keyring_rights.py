"""Who may do what in the keyring's database, and whether its own rules stand: from PostgreSQL's catalogs, read only."""

from __future__ import annotations

from typing import Any, LiteralString

from steward.clients.postgres import Connection, connect, keyring_database
from steward.keys.audit_facts import AccessFacts, Grant, Reach
from steward.settings import Keyring, Vault


def read_rights(keyring: Keyring, vault: Vault | None) -> AccessFacts:
    """Rights and rules at one moment. Raises DatabaseUnavailable (transient), DatabaseRefused, DatabaseNotMigrated."""
    with connect(keyring_database(keyring, vault)) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        # Every name is then told with its schema, whatever the user's own path is.
        connection.execute("SET LOCAL search_path = pg_catalog")
        return AccessFacts(
            revision=_column(connection, "SELECT version_num FROM keyring.alembic_version")[0],
            owner=_column(connection, "SELECT current_user")[0],
            owners=dict(connection.execute(_OWNERS).fetchall()),
            grants=tuple(
                Grant(object=what, grantee=whom, privilege=may) for what, whom, may in connection.execute(_GRANTS)
            ),
            superusers=_column(connection, _SUPERUSERS),
            members=_column(connection, _MEMBERS),
            reach=tuple(
                Reach(role=role, reads=reads, writes=writes) for role, reads, writes in connection.execute(_REACH)
            ),
            functions=dict(connection.execute(_FUNCTIONS).fetchall()),
            triggers=dict(connection.execute(_TRIGGERS).fetchall()),
            constraints=_column(connection, _CONSTRAINTS),
            strangers=_column(connection, _STRANGERS),
            publications=_column(connection, _PUBLICATIONS),
        )


def _column(connection: Connection, statement: LiteralString) -> tuple[Any, ...]:
    return tuple(row[0] for row in connection.execute(statement))


_RELATIONS: LiteralString = """
SELECT c.oid, c.relowner AS owner, c.relacl AS acl,
       CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char" AS defaults,
       CASE c.relkind WHEN 'S' THEN 'sequence ' WHEN 'v' THEN 'view ' WHEN 'm' THEN 'view ' WHEN 'f' THEN 'foreign table '
                      ELSE 'table ' END || c.oid::regclass AS object
FROM pg_class c WHERE c.relnamespace = 'keyring'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
"""

_ROUTINES: LiteralString = """
SELECT p.oid, p.proowner AS owner, p.proacl AS acl, 'f'::"char" AS defaults, 'function ' || p.oid::regprocedure AS object
FROM pg_proc p WHERE p.pronamespace = 'keyring'::regnamespace
"""

_OBJECTS: LiteralString = f"""
SELECT owner, acl, defaults, object FROM ({_RELATIONS}) relations
UNION ALL SELECT owner, acl, defaults, object FROM ({_ROUTINES}) routines
UNION ALL SELECT nspowner, nspacl, 'n', 'schema keyring' FROM pg_namespace WHERE nspname = 'keyring'
UNION ALL SELECT datdba, datacl, 'd', 'database' FROM pg_database WHERE datname = current_database()
"""  # noqa: S608  from constants

_OWNERS: LiteralString = f"SELECT object, pg_get_userbyid(owner)::text FROM ({_OBJECTS}) objects ORDER BY 1"  # noqa: S608  from constants

# What an owner may do with its own is no grant. Rights on columns and rights to come are never the migration's.
_GRANTS: LiteralString = f"""
SELECT object, CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee)::text END,
       privilege_type || CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
FROM (
    SELECT owner, object, (aclexplode(coalesce(acl, acldefault(defaults, owner)))).* FROM ({_OBJECTS}) objects
    UNION ALL
    SELECT c.relowner, 'column ' || c.oid::regclass || '.' || a.attname, (aclexplode(a.attacl)).*
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'keyring'::regnamespace
    UNION ALL
    SELECT d.defaclrole, 'whatever ' || pg_get_userbyid(d.defaclrole) || ' makes', (aclexplode(d.defaclacl)).*
    FROM pg_default_acl d
) granted WHERE grantee <> owner ORDER BY 1, 2, 3
"""  # noqa: S608  from constants

# Whoever may replicate copies the whole cluster.
_SUPERUSERS = """
SELECT rolname || CASE WHEN rolsuper THEN '' ELSE ' (replication)' END
FROM pg_roles WHERE rolsuper OR rolreplication ORDER BY 1
"""

# Members of members too: each edge that leads to a role which reaches the keyring.
_MEMBERS = """
WITH RECURSIVE reaching AS (
    SELECT oid FROM pg_roles
    WHERE rolname IN ('keyring_reader', 'pg_read_all_data', 'pg_write_all_data', 'pg_maintain', 'pg_read_server_files',
                      'pg_write_server_files', 'pg_execute_server_program') OR rolname = current_user
    UNION
    SELECT m.member FROM pg_auth_members m JOIN reaching r ON r.oid = m.roleid
)
SELECT DISTINCT pg_get_userbyid(m.member) || ' in ' || pg_get_userbyid(m.roleid)
FROM pg_auth_members m JOIN reaching r ON r.oid = m.roleid ORDER BY 1
"""

# What counts in the end, by whatever way it was given. Roles named pg_… are nobody's login.
_REACH = """
SELECT r.rolname::text, bool_or(has_table_privilege(r.oid, c.oid, 'SELECT') OR has_any_column_privilege(r.oid, c.oid, 'SELECT')),
       bool_or(has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
               OR has_any_column_privilege(r.oid, c.oid, 'INSERT, UPDATE'))
FROM pg_roles r CROSS JOIN pg_class c
WHERE c.relnamespace = 'keyring'::regnamespace AND c.relkind IN ('r', 'p') AND NOT r.rolsuper
  AND r.rolname <> current_user AND r.rolname NOT LIKE 'pg\\_%'
GROUP BY r.rolname
HAVING bool_or(has_table_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE')
               OR has_any_column_privilege(r.oid, c.oid, 'SELECT, INSERT, UPDATE'))
ORDER BY 1
"""

_FUNCTIONS = """
SELECT p.oid::regprocedure::text,
       concat_ws(' ', CASE WHEN p.prosecdef THEN 'definer' ELSE 'invoker' END, array_to_string(p.proconfig, ' '), md5(p.prosrc))
FROM pg_proc p WHERE p.pronamespace = 'keyring'::regnamespace ORDER BY 1
"""

# tgtype: when, on what, for each row or statement (pg_trigger.h); tgenabled: O is on.
_TRIGGERS = """
SELECT t.tgrelid::regclass || '.' || t.tgname,
       concat_ws(' ', t.tgfoid::regproc::text, t.tgtype, t.tgenabled, CASE WHEN t.tgdeferrable THEN 'deferrable' END,
                 CASE WHEN t.tgqual IS NOT NULL THEN 'conditional' END)
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE c.relnamespace = 'keyring'::regnamespace AND NOT t.tgisinternal ORDER BY 1
"""

# NOT NULL is left out: whether it counts as a constraint depends on PostgreSQL's version.
_CONSTRAINTS = """
SELECT conrelid::regclass || '.' || conname FROM pg_constraint
WHERE connamespace = 'keyring'::regnamespace AND contype IN ('c', 'f', 'p', 'u') AND convalidated
UNION
SELECT i.indrelid::regclass || '.' || c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'keyring'::regnamespace AND i.indisunique AND i.indisvalid ORDER BY 1
"""

_STRANGERS = """
SELECT 'schema ' || nspname FROM pg_namespace
WHERE nspname NOT IN ('keyring', 'public', 'information_schema') AND nspname NOT LIKE 'pg\\_%'
UNION ALL
SELECT 'relation ' || c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
  AND c.oid::regclass::text NOT IN ('keyring.alembic_version', 'keyring.epochs', 'keyring.generations', 'keyring.key_ids',
                                    'keyring.readers', 'keyring.tenants', 'keyring.wraps', 'keyring.wraps_ordinal_seq')
UNION ALL
SELECT 'function ' || p.oid::regprocedure FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname NOT IN ('keyring', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
UNION ALL
SELECT 'rule ' || r.rulename || ' on ' || r.ev_class::regclass FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class
WHERE c.relnamespace = 'keyring'::regnamespace AND c.relkind = 'r'
UNION ALL SELECT 'extension ' || extname FROM pg_extension WHERE extname <> 'plpgsql'
UNION ALL SELECT 'event trigger ' || evtname FROM pg_event_trigger
UNION ALL SELECT 'foreign server ' || srvname FROM pg_foreign_server
ORDER BY 1
"""

_PUBLICATIONS = """
SELECT 'publication ' || pubname FROM pg_publication
UNION ALL SELECT 'slot ' || slot_name FROM pg_replication_slots WHERE database = current_database()
ORDER BY 1
"""
