"""An application with encrypted columns on real servers: each tenant its own rows, whatever is done to the table."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from urllib.parse import quote
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
import sqlalchemy as sa
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from demo.customers.deployment import deployment, serving
from demo.customers.models import Customer
from demo.customers.rows import add_members
from demo.customers.site import Site
from demo.customers.tables import Base
from replica import faults, inventory
from steward.clients.keyring import open_keyring
from steward.clients.keyvault import open_vault
from steward.clients.tenantkeys import open_tenant_keys
from steward.fieldcrypt import FieldCipher, bound, install, key_id
from steward.fieldcrypt.sqlalchemy import WriteRefused, key_id_of
from steward.settings import load, read_secret
from tests.integration.fresh_application import fresh_application
from tests.integration.fresh_keyring import fresh_keyring

pytestmark = pytest.mark.without_search

#: More than it has connections, so that each connection serves many. Two hundred are what `make demo-keys` shows.
TENANTS = [f"tenant-{number:03}" for number in range(40)]
COLD = ["cold-1", "cold-2"]
SHARED = "shared@example.net"
NOTES = "takes two sugars in her tea"
BORN = "1815-12-10"
_LOAD_SECONDS = 2.0


def emails_of(tenant):
    """Two alike, one that every tenant has, one of its own."""
    return [f"twin@{tenant}.example", f"twin@{tenant}.example", SHARED, f"only@{tenant}.example"]


@pytest.fixture(scope="module")
def described(replica):
    """Databases of its own for the application and the keyring."""
    settings = load(inventory.settings_file(replica))
    with fresh_application(settings) as application, fresh_keyring(application) as both:
        yield both


@pytest.fixture(scope="module")
def enrolled(described, tmp_path_factory):
    with (
        open_vault(described.vault) as vault,
        open_keyring(described.keyring) as keyring,
        ThreadPoolExecutor(4) as pool,
    ):
        list(pool.map(lambda tenant: keyring.enrol(tenant, vault), [*TENANTS, *COLD]))
    return deployment(described, tmp_path_factory.mktemp("secrets"), load_seconds=_LOAD_SECONDS)


@pytest.fixture(scope="module")
def engine(enrolled):
    engine = sa.create_engine(enrolled.url())
    Base.metadata.create_all(engine)
    add_members(engine, [*TENANTS, *COLD])
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return tmp_path_factory.mktemp("application") / "log"


@pytest.fixture(scope="module")
def site(enrolled, engine, log):
    with serving(enrolled, log) as served:
        yield Site(served.url, enrolled)


@pytest.fixture(scope="module")
def rows(site):
    """What the application answered to each tenant's creations."""
    requests = [(tenant, email) for tenant in TENANTS for email in emails_of(tenant)]

    async def create(client, tenant, email):
        body = {"email": email, "born": BORN, "notes": f"{NOTES}, says {tenant}", "plan": "gold"}
        answer = await client.post("/customers", json=body, headers=site.session(tenant))
        assert answer.status_code == 201, answer.text
        return tenant, answer.json()

    async def all_of_them(client):
        return await asyncio.gather(*(create(client, *each) for each in requests))

    made = {tenant: [] for tenant in TENANTS}
    for tenant, row in site.speaking(all_of_them):
        made[tenant].append(row)
    return made


@pytest.fixture(scope="module")
def keys(enrolled):
    """A second process's keys, this one's."""
    with open_tenant_keys(enrolled.vault, enrolled.keyring) as keys:
        install(keys)
        yield keys


def page(row):
    """A customer's, who has not ordered yet."""
    return row | {"orders": []}


def by_id(rows):
    return sorted(rows, key=lambda row: row["id"])


def dumps(engine, table):
    """The table as text and in binary."""
    with engine.connect() as connection, connection.connection.cursor() as cursor:
        for form in ("text", "binary"):
            with cursor.copy(f"COPY {table} TO STDOUT (FORMAT {form})") as copy:
                yield b"".join(copy)


@contextlib.contextmanager
def copied(engine, target, source):
    """The bytes of one row's column in another row's, put back afterwards; each (row id, column)."""
    (row_id, column), (other_id, other) = target, source
    put = f"UPDATE customers SET {column} = %s WHERE id = %s"  # noqa: S608  columns that a test here names
    get = "SELECT {} FROM customers WHERE id = %s"
    with engine.begin() as connection:
        before = connection.exec_driver_sql(get.format(column), (row_id,)).scalar_one()
        foreign = connection.exec_driver_sql(get.format(other), (other_id,)).scalar_one()
        connection.exec_driver_sql(put, (foreign, row_id))
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql(put, (before, row_id))


def test_every_tenant_reads_what_it_wrote_and_nothing_else(site, rows):
    async def listed(client, tenant):
        return (await client.get("/customers", headers=site.session(tenant))).json()

    async def all_of_them(client):
        return await asyncio.gather(*(listed(client, tenant) for tenant in TENANTS))

    for tenant, answer in zip(TENANTS, site.speaking(all_of_them), strict=True):
        assert by_id(answer) == by_id(rows[tenant])
        assert Counter(row["email"] for row in answer) == Counter(emails_of(tenant))
        assert {(row["born"], row["notes"]) for row in answer} == {(BORN, f"{NOTES}, says {tenant}")}


def test_one_row_is_read_by_its_id_by_its_own_tenant_only(site, rows):
    row = rows["tenant-000"][0]
    assert site.get(f"/customers/{row['id']}", "tenant-000").json() == page(row)
    assert site.get(f"/customers/{row['id']}", "tenant-001").status_code == 404


def test_equality_search_finds_exactly_the_rows_that_a_full_scan_finds(site, engine, rows, keys):
    with engine.connect() as connection:
        table = connection.exec_driver_sql("SELECT tenant_id, id, email FROM customers").all()
    scanned = {}
    for tenant, row_id, email in table:
        value = FieldCipher(tenant).decrypt("customers", "email", row_id, email)
        scanned.setdefault((tenant, value), set()).add(str(row_id))
    wanted = [(tenant, email) for tenant in TENANTS for email in (*set(emails_of(tenant)), "nobody@example.net")]

    async def found(client, tenant, email):
        answer = await client.post("/customers/search", json={"email": email}, headers=site.session(tenant))
        return {row["id"] for row in answer.json()}

    async def all_of_them(client):
        return await asyncio.gather(*(found(client, *each) for each in wanted))

    assert len(table) == 4 * len(TENANTS)
    for each, ids in zip(wanted, site.speaking(all_of_them), strict=True):
        assert ids == scanned.get(each, set()), each


def test_a_change_is_found_by_what_it_is_now(site, rows):
    row_id = rows["tenant-007"][3]["id"]
    body = {"email": "moved@example.net"}
    answer = site.ask("PATCH", f"/customers/{row_id}", "tenant-007", json=body)
    assert answer.json()["email"] == "moved@example.net"
    assert site.search("tenant-007", "moved@example.net").json() == [answer.json()]
    assert site.search("tenant-007", "only@tenant-007.example").json() == []
    site.ask("PATCH", f"/customers/{row_id}", "tenant-007", json={"email": emails_of("tenant-007")[3]})


COPIES = {
    "another tenant": ("email", ("tenant-002", 0, "email"), "CiphertextForeign"),
    "another row": ("email", ("tenant-001", 1, "email"), "CiphertextMoved"),
    "another column": ("notes", ("tenant-001", 0, "email"), "CiphertextMoved"),
}


@pytest.mark.parametrize("copy", COPIES.values(), ids=COPIES)
def test_a_ciphertext_that_was_copied_by_sql_is_refused(site, engine, log, rows, copy):
    column, (tenant, number, other), error = copy
    target = rows["tenant-001"][0]["id"]
    with copied(engine, (target, column), (rows[tenant][number]["id"], other)):
        answer = site.get(f"/customers/{target}", "tenant-001")
    assert answer.status_code == 500
    assert answer.json() == {"type": "about:blank", "title": "Internal Server Error", "status": 500}
    assert f"/customers/{target}: {error} ['reading customers.{column}']" in log.read_text()
    assert site.get(f"/customers/{target}", "tenant-001").status_code == 200


def test_the_tables_their_dump_and_the_access_log_show_no_plaintext(site, engine, log, rows):
    """Of everything that was written, changed, read and searched by the tests before, and here."""
    assert len(site.search("tenant-004", SHARED).json()) == 1
    dumped = [*dumps(engine, "customers"), *dumps(engine, "audit_trail")]
    logged = log.read_bytes()
    assert b"gold" in dumped[0]
    assert b"gold" in dumped[1]
    assert all(b"create" in each for each in dumped[2:])
    assert b'"POST /customers/search HTTP/1.1" 200' in logged
    for word in (SHARED, "twin@", "only@", NOTES, BORN):
        for form in (word.encode(), word.encode().hex().encode(), quote(word).encode()):
            assert not any(form in place for place in (*dumped, logged))


def test_equal_values_of_two_tenants_look_different(engine, rows):
    shared = [rows[tenant][2]["id"] for tenant in TENANTS]
    with engine.connect() as connection:
        found = connection.execute(
            sa.text("SELECT count(DISTINCT email_index) FROM customers WHERE id::text = ANY(:ids)"), {"ids": shared}
        )
        assert found.scalar_one() == len(TENANTS)


def test_while_the_vault_is_frozen_warm_tenants_are_served_and_cold_ones_told_to_wait(replica, site, rows):
    row = rows["tenant-003"][0]
    with faults.frozen(replica.state, "keyvault"):
        assert site.get(f"/customers/{row['id']}", "tenant-003").json() == page(row)
        assert site.ask("POST", "/customers", "tenant-030", json={"email": "new@example.net"}).is_success
        assert len(site.search("tenant-003", SHARED).json()) == 1
        cold = site.get("/customers", "cold-1")
    assert cold.status_code == 503
    assert int(cold.headers["retry-after"]) >= 1
    assert cold.headers["content-type"] == "application/problem+json"
    assert not any(word in cold.text for word in ("cold-1", "vault", "127.0.0.1"))
    assert site.get("/customers", "cold-2").json() == []


def test_who_is_nobody_and_who_is_no_tenant_are_refused(site, rows):
    assert httpx.get(f"{site.url}/customers", timeout=60).status_code == 401
    assert site.get("/customers", "never-enrolled").status_code == 404


def test_an_async_session_works_as_the_sync_one(enrolled, keys, engine):
    async def within():
        engine = create_async_engine(enrolled.url())
        async with AsyncSession(engine) as session:
            customer = Customer(tenant_id="tenant-000", email="async@example.net", born=date(1815, 12, 10))
            session.add(customer)
            await session.flush()
            await session.refresh(customer)
            read = customer.email, customer.born
            found = await session.scalar(sa.select(Customer.id).where(Customer.email == "async@example.net"))
            assert found == customer.id
            await session.rollback()
        await engine.dispose()
        return read

    with bound("tenant-000"):
        assert asyncio.run(within()) == ("async@example.net", date(1815, 12, 10))


def test_the_key_id_of_a_row_is_told_by_sql_from_the_ciphertext_itself(engine, rows, keys):
    with engine.connect() as connection:
        pairs = connection.execute(sa.select(Customer.email, key_id_of(Customer.email), Customer.tenant_id)).all()
    assert all(key_id(ciphertext) == in_sql for ciphertext, in_sql, _ in pairs)
    assert {(tenant, keys.of(tenant).writing.wrapped.key_id) for _, _, tenant in pairs} == {
        (tenant, in_sql) for _, in_sql, tenant in pairs
    }


def test_the_key_id_of_a_row_can_be_indexed(engine, rows):
    expression = key_id_of(sa.column("email")).compile(engine)
    wanted = sa.select(Customer.id).where(key_id_of(Customer.email) < 7)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE INDEX ix_customers_email_key ON customers ({expression})"))
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        plan = connection.execute(sa.text(f"EXPLAIN {wanted.compile(engine, compile_kwargs={'literal_binds': True})}"))
        assert any("ix_customers_email_key" in line for line in plan.scalars())
        connection.rollback()


@pytest.mark.parametrize("number", [1, 255, 256, 2**24, 2**31 - 1])
def test_the_key_id_in_sql_is_that_of_python_for_every_size(engine, number):
    ciphertext = bytes([1, 1]) + number.to_bytes(4, "big") + bytes(64)
    with engine.connect() as connection:
        in_sql = connection.scalar(sa.select(key_id_of(sa.literal(ciphertext, sa.LargeBinary))))
        assert in_sql == number == key_id(ciphertext)
        assert connection.scalar(sa.select(key_id_of(sa.null().cast(sa.LargeBinary)))) is None


def test_a_sync_session_refuses_what_bypasses_it_here_too(engine, keys):
    with bound("tenant-000"), Session(engine) as session, pytest.raises(WriteRefused):
        session.execute(sa.insert(Customer), [{"id": uuid4(), "tenant_id": "tenant-000", "email": "x"}])


def test_the_dbapi_alone_will_do(enrolled, described, engine, keys):
    """As docs/fieldcrypt-applications.md shows it."""
    server = conninfo_to_dict(enrolled.database)
    with psycopg.connect(**server, password=read_secret(enrolled.password)) as connection:
        connection.execute(
            "CREATE TABLE patients (id uuid PRIMARY KEY, name bytea NOT NULL, name_index bytea NOT NULL)"
        )
        connection.execute("CREATE INDEX ON patients (name_index)")
        cipher = FieldCipher("tenant-000")
        row_id = uuid4()
        connection.execute(
            "INSERT INTO patients (id, name, name_index) VALUES (%s, %s, %s)",
            (
                row_id,
                cipher.encrypt("patients", "name", row_id, "Ada"),
                cipher.blind_index("patients", "name", "Ada"),
            ),
        )
        found = connection.execute(
            "SELECT id, name FROM patients WHERE name_index = ANY(%s)",
            (cipher.blind_indexes("patients", "name", "Ada"),),
        ).fetchall()
        assert [(key, cipher.decrypt("patients", "name", key, name)) for key, name in found] == [(row_id, "Ada")]
        assert isinstance(found[0][0], UUID)
        connection.rollback()
