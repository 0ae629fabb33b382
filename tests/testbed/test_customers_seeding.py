"""Customers that the application finds as if it had written them itself."""

from __future__ import annotations

from collections import Counter

import pytest

from demo.customers.enrolment import tenant_names
from demo.customers.ground import opened
from demo.customers.seeding import CHUNK, seed_customers, seeded
from demo.customers.users import application_keys, database, owner, steward_keys
from replica import inventory
from steward.clients.keyring import open_keyring
from steward.clients.postgres import connect
from steward.clients.tenantkeys import open_tenant_keys
from steward.errors import BadInput
from steward.fieldcrypt import FieldCipher
from steward.keys.golden import GOLDEN_TENANT
from steward.settings import load
from tests.integration.fresh_customers import fresh_customers

pytestmark = pytest.mark.without_search

TENANTS, ROWS = 7, 350


@pytest.fixture(scope="module")
def laid(replica):
    with fresh_customers(load(inventory.settings_file(replica))) as settings:
        seed_customers(settings, TENANTS, ROWS)
        yield settings


def table(settings):
    with connect(database(owner(settings), settings)) as connection:
        return connection.execute(
            "SELECT id, tenant_id, plan, email, email_index, born, notes, xmin FROM customers"
        ).fetchall()


def test_every_row_says_to_the_application_what_was_drawn_for_it(laid):
    wanted = {row.id: row for chunk in seeded(tenant_names(TENANTS), ROWS) for row in chunk}
    with open_tenant_keys(*application_keys(laid)) as keys:
        for row_id, tenant, plan, email, index, born, notes, _ in table(laid):
            cipher, row = FieldCipher(tenant, keys), wanted.pop(row_id)
            assert (tenant, plan) == (row.tenant, row.plan)
            opened_values = tuple(
                cipher.decrypt("customers", name, row_id, ciphertext)
                for name, ciphertext in (("email", email), ("born", born), ("notes", notes))
            )
            assert opened_values == row.values
            assert index in cipher.blind_indexes("customers", "email", row.values.email)
    assert not wanted


def test_tenants_have_their_shares_side_by_side_and_members_and_orders(laid):
    tenants = tenant_names(TENANTS)
    with opened(laid) as engine, engine.connect() as connection:
        query = "SELECT tenant_id FROM customers WHERE ctid < '(1,0)'"
        assert set(connection.exec_driver_sql(query).scalars()) == set(tenants)
        for name, each in (("customers", ROWS // TENANTS), ("members", 2), ("orders", 100)):
            found = connection.exec_driver_sql(f"SELECT tenant_id FROM {name}")  # noqa: S608  tables named above
            assert Counter(found.scalars()) == dict.fromkeys(tenants, each)


def test_the_golden_tenant_is_enrolled_and_has_no_rows_yet(laid):
    with open_keyring(steward_keys(laid)[1]) as keyring:
        assert len(keyring.load(GOLDEN_TENANT).generations) == 1


def test_run_again_it_makes_what_is_missing_and_touches_nothing_else(laid):
    before = set(table(laid))
    gone = sorted(before)[:3]
    with opened(laid) as engine, engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM customers WHERE id = ANY(%s)", ([row[0] for row in gone],))
    assert seed_customers(laid, TENANTS, ROWS) == tenant_names(TENANTS)
    after = set(table(laid))
    assert {row[:3] for row in after - before} == {row[:3] for row in gone}
    assert before - after == set(gone)
    seed_customers(laid, TENANTS, ROWS)
    assert set(table(laid)) == after


def test_an_erased_tenant_is_left_erased_and_the_others_are_seeded(settings):
    with fresh_customers(settings) as fresh:
        seed_customers(fresh, 3, 9)
        with open_keyring(steward_keys(fresh)[1]) as keyring:
            keyring.erase("customer-0002")
        assert seed_customers(fresh, 3, 18) == ["customer-0001", "customer-0003"]
        assert Counter(row[1] for row in table(fresh)) == {"customer-0001": 6, "customer-0002": 3, "customer-0003": 6}


def test_what_is_drawn_depends_on_the_seed_and_on_nothing_else():
    names = tenant_names(3)
    drawn = [
        [row for chunk in seeded(names, rows, seed) for row in chunk] for rows, seed in ((50, 1), (50, 1), (50, 2))
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    longer = [row for chunk in seeded(names, CHUNK + 10, 1) for row in chunk]
    assert longer[:50] == drawn[0]
    assert len({row.id for row in longer}) == CHUNK + 10


def test_no_tenants_are_refused(settings):
    with pytest.raises(BadInput, match="rows of 0 tenants"):
        seed_customers(settings, 0, 10)
