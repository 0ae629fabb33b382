"""Values are opened and written for the tenant of their row alone, which need not be bound before."""

import pytest

from steward.fieldcrypt import bound
from steward.fieldcrypt.errors import CiphertextForeign, TenantNotBound
from steward.fieldcrypt.sqlalchemy import OtherTenant
from tests.unit.fieldcrypt.customers import PLAIN, Customer, added, stored


def test_a_value_reads_back_before_the_flush_and_needs_no_tenant_until_then(session):
    customer = Customer(email=PLAIN)
    assert customer.email == PLAIN
    session.add(customer)
    with pytest.raises(TenantNotBound):
        session.flush()


def test_an_update_of_other_columns_needs_no_tenant_and_touches_no_ciphertext(session, customer):
    before = stored(session, customer, "email")
    customer.plan = "gold"
    session.flush()
    assert stored(session, customer, "email") == before


def test_a_row_of_another_tenant_does_not_open(session, customer):
    with bound("globex"), pytest.raises(CiphertextForeign):
        _ = customer.email


def test_a_row_of_another_tenant_is_not_written(session):
    for email in (PLAIN, None):
        session.add(Customer(tenant_id="globex", email=email))
        with bound("acme"), pytest.raises(OtherTenant, match="'globex', where tenant 'acme' is bound"):
            session.flush()
        session.rollback()


def test_a_row_is_not_moved_to_another_tenant(session, customer):
    customer.tenant_id = "globex"
    with bound("globex"), pytest.raises(OtherTenant):
        session.flush()


def test_the_tenant_of_a_row_may_come_from_a_default(session, acme):
    customer = added(session, email=PLAIN)
    assert customer.tenant_id == "acme"
