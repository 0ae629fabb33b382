"""The application's tables on the replica, and what of them the user may do who re-encrypts."""

from __future__ import annotations

import tomllib
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import InsufficientPrivilege

from demo.customers.ground import lay_tables
from demo.customers.models import Customer
from demo.customers.users import OWNER, ROTATOR, NoCustomers, database, owner, rotator
from replica import inventory
from steward.clients.postgres import connect
from steward.errors import StewardError
from steward.fieldcrypt.sqlalchemy import BlindIndex, Encrypted
from steward.settings import load, read_secret
from tests.integration.fresh_application import fresh_application

pytestmark = pytest.mark.without_search

ROW = "INSERT INTO customers (id, tenant_id, plan, email, email_index) VALUES (%s, 'golden', 'free', '', '')"


@pytest.fixture(scope="module")
def laid(replica):
    with fresh_application(load(inventory.settings_file(replica))) as settings:
        lay_tables(settings)
        yield settings


@pytest.fixture
def as_rotator(laid):
    told = rotator(laid)
    with psycopg.connect(**conninfo_to_dict(told.url), password=read_secret(told.password)) as connection:
        yield connection
        connection.rollback()


def test_tables_are_laid_twice_and_by_several_at_once_without_harm(settings):
    with fresh_application(settings) as fresh, ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(lay_tables, fresh) for _ in range(4)]:
            done.result()
        lay_tables(fresh)
        with connect(database(owner(fresh), fresh)) as connection:
            assert connection.execute("SELECT count(*) FROM customers").fetchone() == (0,)


def test_the_rotator_reads_writes_and_changes_encrypted_rows(as_rotator):
    as_rotator.execute(ROW, [uuid4()])
    assert as_rotator.execute("UPDATE customers SET born = '' RETURNING tenant_id").fetchall() == [("golden",)]
    assert as_rotator.execute("SELECT current_user, count(*) FROM customers").fetchone() == (ROTATOR, 1)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM customers",
        "TRUNCATE customers",
        "SELECT 1 FROM members",
        "SELECT 1 FROM orders",
        "SELECT 1 FROM audit_trail",
        "ALTER TABLE customers DROP COLUMN notes",
        "CREATE TABLE own (n int)",
        f"SET ROLE {OWNER}",
    ],
)
def test_the_rotator_may_do_nothing_else(as_rotator, statement):
    with pytest.raises(InsufficientPrivilege):
        as_rotator.execute(statement)


def test_nobody_else_enters_the_database(settings):
    told = rotator(settings)
    for name in ("steward", "keyring", "keyring_reader"):
        password = read_secret(told.password.replace(f"postgres.{ROTATOR}", f"postgres.{name}"))
        with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
            psycopg.connect(**conninfo_to_dict(told.url) | {"user": name}, password=password)


def test_the_file_names_exactly_the_columns_that_the_model_encrypts(settings):
    (table,) = tomllib.loads(rotator(settings).encrypted.read_text())["table"]
    named = {field["column"] for field in table["field"]} | {field.get("index") for field in table["field"]} - {None}
    columns = Customer.__table__.columns
    assert named == {column.name for column in columns if isinstance(column.type, Encrypted | BlindIndex)}
    assert table["row_id"] == [column.name for column in Customer.__table__.primary_key]
    others = {*table["golden"], table["tenant"], *table["row_id"]}
    assert {table["name"], *others} == {"customers", *(column.name for column in columns if column.name not in named)}


def test_settings_without_the_application_are_refused_in_words(settings):
    with pytest.raises(NoCustomers, match=r"no \[applications.customers\]") as refused:
        lay_tables(settings.model_copy(update={"applications": {}}))
    assert isinstance(refused.value, StewardError)
    assert refused.value.hint
