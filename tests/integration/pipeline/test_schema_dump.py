"""A database's schema and rows as values: every kind of object is seen, nothing else is, and made-up rows obey the schema."""

import pytest

from steward.clients.postgres import connect
from steward.clients.sample_rows import ROWS_OF_A_TABLE, fill
from steward.clients.schema_dump import read_rows, read_schema
from steward.pipeline.migrations import compare_schemas
from tests.integration.fresh_database import fresh_database

pytestmark = pytest.mark.without_search

SCHEMA = """
CREATE SCHEMA shop;
CREATE TYPE shop.mood AS ENUM ('calm', 'busy');
CREATE DOMAIN shop.amount AS numeric(8, 2) CHECK (value >= 0);
CREATE TABLE shop."Odd name" (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mood shop.mood NOT NULL, paid shop.amount NOT NULL DEFAULT 1,
    short varchar(3) NOT NULL, state text NOT NULL CHECK (state IN ('it''s', 'paid')), tags text[], double numeric
    GENERATED ALWAYS AS (paid * 2) STORED, at timestamptz DEFAULT now(), body jsonb NOT NULL, raw bytea, u uuid UNIQUE,
    address inet, day date, lasts interval, yes boolean NOT NULL);
CREATE TABLE shop.child (a int, b uuid REFERENCES shop."Odd name" (u), parent int, PRIMARY KEY (a), FOREIGN KEY (parent)
    REFERENCES shop.child);
CREATE TABLE shop.ring (id int PRIMARY KEY, other int);
CREATE TABLE shop.gnir (id int PRIMARY KEY, ring int NOT NULL REFERENCES shop.ring);
ALTER TABLE shop.ring ADD FOREIGN KEY (other) REFERENCES shop.gnir;
CREATE TABLE shop.part (k int NOT NULL, at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE shop.part_one PARTITION OF shop.part FOR VALUES FROM ('2024-01-01') TO ('2024-01-20');
CREATE TABLE shop.hard (code text NOT NULL CHECK (code ~ '^[A-Z]{9}$'));
CREATE VIEW shop.seen AS SELECT id FROM shop."Odd name";
CREATE MATERIALIZED VIEW shop.kept AS SELECT 1 AS one;
CREATE SEQUENCE shop.numbers;
CREATE STATISTICS shop.counted ON k, at FROM shop.part;
CREATE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2';
CREATE FUNCTION shop.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER touched BEFORE INSERT ON shop.child FOR EACH ROW EXECUTE FUNCTION shop.touch();
CREATE POLICY own ON shop.child USING (a > 0);
CREATE RULE quiet AS ON DELETE TO shop.hard DO INSTEAD NOTHING;
CREATE INDEX by_state ON shop."Odd name" (state);
"""
#: Of each kind of object one change, and the name that it is told by.
CHANGES = {
    "ALTER TYPE shop.mood ADD VALUE 'odd'": "type shop.mood",
    "ALTER DOMAIN shop.amount SET DEFAULT 3": "type shop.amount",
    "ALTER TABLE shop.hard ALTER code DROP NOT NULL": "column shop.hard.code",
    'ALTER TABLE shop."Odd name" ALTER paid SET DEFAULT 2': 'column shop."Odd name".paid',
    "ALTER TABLE shop.child ENABLE ROW LEVEL SECURITY": "table shop.child",
    "GRANT SELECT ON shop.child TO PUBLIC": "table shop.child",
    "COMMENT ON TABLE shop.child IS 'x'": "table shop.child",
    "ALTER TABLE shop.child ADD CONSTRAINT few CHECK (a < 100)": "constraint few of shop.child",
    'CREATE OR REPLACE VIEW shop.seen AS SELECT id FROM shop."Odd name" WHERE id > 1': "view shop.seen",
    "ALTER SEQUENCE shop.numbers INCREMENT 2": "sequence shop.numbers",
    "DROP STATISTICS shop.counted": "statistics shop.counted",
    "CREATE OR REPLACE FUNCTION shop.twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n + n'": "function shop.twice(integer)",
    "ALTER TABLE shop.child DISABLE TRIGGER touched": "trigger touched of shop.child",
    "ALTER POLICY own ON shop.child USING (a > 1)": "policy own of shop.child",
    "DROP RULE quiet ON shop.hard": "rule quiet of shop.hard",
    "ALTER INDEX shop.by_state RENAME TO by_status": "index shop.by_state",
    "DROP TABLE shop.part_one": "table shop.part_one",
    "DROP MATERIALIZED VIEW shop.kept": "materialized view shop.kept",
    "CREATE EXTENSION hstore SCHEMA shop": "extension hstore",
    "CREATE SCHEMA more": "schema more",
}


@pytest.fixture
def db(settings):
    with fresh_database(settings) as own, connect(own) as connection:
        # Alone in its database: what extensions and Steward itself have stays elsewhere.
        connection.execute(SCHEMA)
        yield connection


def test_a_change_of_any_kind_of_object_is_seen_and_told_by_its_name(db):
    before = read_schema(db)
    assert compare_schemas(before, read_schema(db), "again") == []
    for change, name in CHANGES.items():
        db.execute("SAVEPOINT here")
        db.execute(change)
        told = compare_schemas(before, read_schema(db), "changed")
        assert any(each.startswith(f"changed: {name} is") for each in told), (change, told)
        db.execute("ROLLBACK TO here")


def test_what_an_extension_brings_is_told_as_the_extension_alone(db):
    before = read_schema(db)
    db.execute("CREATE EXTENSION hstore SCHEMA shop")
    assert [each.partition(" is ")[0] for each in compare_schemas(before, read_schema(db), "x")] == [
        "x: extension hstore"
    ]


def test_rows_are_made_up_for_every_table_whose_rules_allow_it_and_never_twice(db):
    fill(db)
    found = read_rows(db)
    numbers = {name: rows.number for name, rows in found.items()}
    assert numbers == {
        'shop."Odd name"': ROWS_OF_A_TABLE,
        "shop.child": numbers["shop.child"],
        "shop.gnir": ROWS_OF_A_TABLE,
        "shop.hard": 0,
        # Days of January that its one partition takes.
        "shop.part": 18,
        "shop.ring": ROWS_OF_A_TABLE,
    }
    assert numbers["shop.child"] >= 15
    fill(db)
    assert read_rows(db)['shop."Odd name"'] == found['shop."Odd name"']


def test_a_checksum_knows_values_and_no_order(db):
    db.execute("INSERT INTO shop.ring VALUES (1, NULL), (2, NULL)")
    before = read_rows(db)["shop.ring"]
    db.execute("DELETE FROM shop.ring WHERE id = 1")
    db.execute("INSERT INTO shop.ring VALUES (1, NULL)")
    assert read_rows(db)["shop.ring"] == before
    db.execute("UPDATE shop.ring SET id = 3 WHERE id = 1")
    assert read_rows(db)["shop.ring"] != before
