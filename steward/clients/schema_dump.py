"""A database's schema and rows as values that can be compared: every object by its name, every table by a checksum.

Asked of the catalogs, in the words in which PostgreSQL itself writes definitions (`pg_get_…def`): `pg_dump` would have to be
of the server's own version. What extensions bring is theirs, and told as the extension with its version.
"""

from __future__ import annotations

from psycopg import sql

from steward.clients.postgres import Connection
from steward.pipeline.migrations import Schema, TableRows

#: Names are written out in full, and values as text that is the same in every session.
_SETTLED = """
SELECT set_config('search_path', '', true), set_config('timezone', 'UTC', true), set_config('datestyle', 'ISO', true),
       set_config('intervalstyle', 'postgres', true), set_config('bytea_output', 'hex', true),
       set_config('extra_float_digits', '1', true)
"""
_OURS = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"
_FREE = (
    "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{0}'::regclass AND d.objid = {1}.oid AND d.deptype = 'e')"
)

_OBJECTS = f"""
SELECT 'schema ' || quote_ident(n.nspname), concat_ws(' ', 'schema', n.nspacl, obj_description(n.oid, 'pg_namespace'))
FROM pg_namespace n WHERE {_OURS} AND {_FREE.format("pg_namespace", "n")}
UNION ALL
SELECT 'extension ' || quote_ident(extname), extversion FROM pg_extension
UNION ALL
SELECT CASE c.relkind WHEN 'v' THEN 'view ' WHEN 'm' THEN 'materialized view ' WHEN 'S' THEN 'sequence '
       WHEN 'c' THEN 'type ' WHEN 'f' THEN 'foreign table ' ELSE 'table ' END || c.oid::regclass,
       concat_ws(' ', c.relkind, c.relpersistence, c.relreplident, c.reloptions, c.relacl,
           CASE WHEN c.relrowsecurity THEN 'row security' END, CASE WHEN c.relforcerowsecurity THEN 'forced' END,
           pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),
           CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END,
           (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid),
           (SELECT concat_ws(' ', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle)
            FROM pg_sequence s WHERE s.seqrelid = c.oid),
           obj_description(c.oid, 'pg_class'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_OURS} AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'c', 'f') AND {_FREE.format("pg_class", "c")}
UNION ALL
SELECT 'column ' || c.oid::regclass || '.' || quote_ident(a.attname),
       concat_ws(' ', format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NOT NULL' END,
           nullif(a.attidentity, ''), nullif(a.attgenerated, ''), pg_get_expr(f.adbin, f.adrelid),
           (SELECT 'COLLATE ' || o.collname FROM pg_collation o JOIN pg_type t ON t.oid = a.atttypid
            WHERE o.oid = a.attcollation AND a.attcollation <> t.typcollation),
           a.attacl, col_description(c.oid, a.attnum))
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef f ON f.adrelid = c.oid AND f.adnum = a.attnum
WHERE {_OURS} AND c.relkind IN ('r', 'p', 'v', 'm', 'c', 'f') AND a.attnum > 0 AND NOT a.attisdropped
  AND {_FREE.format("pg_class", "c")}
UNION ALL
-- That a column is NOT NULL is the column's; its constraint of PostgreSQL 18 has a name that nobody gave.
SELECT 'constraint ' || quote_ident(k.conname) || ' of ' || coalesce(nullif(k.conrelid, 0)::regclass::text, k.contypid::regtype::text),
       concat_ws(' ', pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint'))
FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
WHERE {_OURS} AND k.contype NOT IN ('n', 't') AND {_FREE.format("pg_constraint", "k")}
UNION ALL
SELECT 'index ' || x.indexrelid::regclass,
       concat_ws(' ', pg_get_indexdef(x.indexrelid), CASE WHEN NOT x.indisvalid THEN 'INVALID' END,
           CASE WHEN x.indisreplident THEN 'replica identity' END, obj_description(x.indexrelid, 'pg_class'))
FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_OURS} AND {_FREE.format("pg_class", "c")}
UNION ALL
SELECT 'function ' || p.oid::regprocedure,
       concat_ws(' ', CASE WHEN p.prokind = 'a' THEN 'aggregate' ELSE pg_get_functiondef(p.oid) END, p.proacl,
           obj_description(p.oid, 'pg_proc'))
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE {_OURS} AND {_FREE.format("pg_proc", "p")}
UNION ALL
SELECT 'trigger ' || quote_ident(g.tgname) || ' of ' || c.oid::regclass, concat_ws(' ', pg_get_triggerdef(g.oid), g.tgenabled)
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_OURS} AND NOT g.tgisinternal
UNION ALL
SELECT 'policy ' || quote_ident(y.polname) || ' of ' || c.oid::regclass,
       concat_ws(' ', y.polcmd, y.polpermissive, (SELECT string_agg(r::regrole::text, ',' ORDER BY r::regrole::text)
           FROM unnest(y.polroles) r), pg_get_expr(y.polqual, c.oid), pg_get_expr(y.polwithcheck, c.oid))
FROM pg_policy y JOIN pg_class c ON c.oid = y.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_OURS}
UNION ALL
SELECT 'rule ' || quote_ident(w.rulename) || ' of ' || c.oid::regclass, pg_get_ruledef(w.oid)
FROM pg_rewrite w JOIN pg_class c ON c.oid = w.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE {_OURS} AND w.rulename <> '_RETURN'
UNION ALL
SELECT 'statistics ' || quote_ident(n.nspname) || '.' || quote_ident(e.stxname), pg_get_statisticsobjdef(e.oid)
FROM pg_statistic_ext e JOIN pg_namespace n ON n.oid = e.stxnamespace WHERE {_OURS}
UNION ALL
SELECT 'type ' || t.oid::regtype,
       concat_ws(' ', t.typtype, CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END,
           CASE WHEN t.typnotnull THEN 'NOT NULL' END, t.typdefault,
           (SELECT string_agg(quote_literal(l.enumlabel), ',' ORDER BY l.enumsortorder) FROM pg_enum l WHERE l.enumtypid = t.oid),
           (SELECT format_type(r.rngsubtype, NULL) FROM pg_range r WHERE r.rngtypid = t.oid), t.typacl,
           obj_description(t.oid, 'pg_type'))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE {_OURS} AND t.typtype IN ('d', 'e', 'r') AND {_FREE.format("pg_type", "t")}
"""  # noqa: S608  its parts stand above

_TABLES = f"""
SELECT n.nspname, c.relname, c.oid::regclass::text, array_remove(array_agg(a.attname::text ORDER BY a.attname), NULL)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE {_OURS} AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND {_FREE.format("pg_class", "c")}
GROUP BY 1, 2, 3 ORDER BY 3
"""  # noqa: S608  as above


def read_schema(db: Connection) -> Schema:
    """Every object of the database by its kind and name, with its definition. Columns have no order: who names them needs none."""
    db.execute(_SETTLED)
    # A query of its own words cannot have parameters, so a % stays one.
    return {str(name): str(definition) for name, definition in db.execute(_OBJECTS).fetchall()}


def read_rows(db: Connection) -> dict[str, TableRows]:
    """Of every table how many rows it has, and a checksum of them that depends on no order of rows or columns."""
    db.execute(_SETTLED)
    tables = db.execute(_TABLES).fetchall()
    return {shown: _rows(db, sql.Identifier(schema, name), columns) for schema, name, shown, columns in tables}


def _rows(db: Connection, table: sql.Identifier, columns: list[str]) -> TableRows:
    row = sql.SQL(", ").join(map(sql.Identifier, columns))
    # Every row's 64 bits are added, so that rows need no order and two alike do not cancel out.
    query = sql.SQL("SELECT count(*), coalesce(sum(hashtextextended(ROW({})::text, 0)::numeric), 0)::text FROM {}")
    count, checksum = db.execute(query.format(row, table)).fetchone() or (0, "0")
    return TableRows(tuple(columns), int(count), str(checksum))
