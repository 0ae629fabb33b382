"""Encrypted columns in partitions, each of which has to be open to whoever re-encrypts."""

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from demo.customers.users import ROTATOR, owner
from steward.clients.encrypted_tables import find_faults
from steward.clients.postgres import application_database, connect
from steward.keys.columns import EncryptedColumns
from steward.settings import read_secret
from tests.integration.fresh_application import fresh_application

pytestmark = pytest.mark.without_search

COLUMNS = {"name": "people", "row_id": ["id"], "tenant": "tenant", "field": [{"column": "email"}]}


def test_each_partition_is_looked_at_and_a_closed_one_is_named(settings):
    with fresh_application(settings) as fresh:
        told = owner(fresh)
        with psycopg.connect(**conninfo_to_dict(told.url), password=read_secret(told.password)) as db:
            db.execute("CREATE TABLE people (id int PRIMARY KEY, tenant text, email bytea) PARTITION BY RANGE (id)")
            db.execute("CREATE TABLE first PARTITION OF people FOR VALUES FROM (0) TO (10)")
            db.execute("CREATE TABLE second PARTITION OF people FOR VALUES FROM (10) TO (20)")
            db.execute(f"GRANT SELECT, INSERT, UPDATE ON people, first TO {ROTATOR}")
        with connect(application_database(fresh, "customers")) as db:
            faults = find_faults(db, EncryptedColumns.model_validate({"table": [COLUMNS]}))
    assert faults == ["this user may not SELECT second", "this user may not UPDATE second"]
