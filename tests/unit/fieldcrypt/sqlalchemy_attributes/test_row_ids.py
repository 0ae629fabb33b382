"""A ciphertext is bound to the key of its row, which is therefore known before the row is written, and stays."""

from uuid import uuid4

import pytest
from sqlalchemy import select

from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.errors import CiphertextMoved
from steward.fieldcrypt.sqlalchemy import RowIdChanged, RowIdUnknown
from tests.unit.fieldcrypt.customers import PLAIN, Account, Customer, Visit


def test_the_primary_key_of_a_stored_row_stays(session, customer, acme):
    session.commit()
    customer.id = uuid4()
    with pytest.raises(RowIdChanged):
        session.flush()
    session.rollback()
    assert customer.email == PLAIN


def test_a_row_that_is_deleted_and_made_anew_in_one_flush_holds_the_new_value(session, customer, acme):
    row_id = customer.id
    session.delete(customer)
    anew = Customer(id=row_id, email="anew@example.net", notes=None)
    session.add(anew)
    session.commit()
    assert (anew.email, anew.notes) == ("anew@example.net", None)
    assert session.scalars(select(Customer).where(Customer.email == "anew@example.net")).one() is anew


def test_a_ciphertext_of_another_row_is_not_assigned(session, customer, acme):
    other = Customer(email=session.scalars(select(Customer.email)).one())
    session.add(other)
    with pytest.raises(CiphertextMoved):
        session.flush()


def test_a_key_that_the_database_makes_is_refused(session, acme):
    session.add(Account(iban="DE02 1203"))
    with pytest.raises(RowIdUnknown, match=r"accounts\.id is not known before"):
        session.flush()


def test_a_key_that_is_read_as_another_type_is_refused(session, acme):
    session.add(Customer(id=str(uuid4()), email=PLAIN))
    with pytest.raises(RowIdUnknown, match="type str, which the database returns as UUID"):
        session.flush()


def test_a_key_that_the_application_assigns_will_do(session, acme):
    session.add(Account(id=4711, iban="DE02 1203"))
    session.commit()
    assert session.get_one(Account, 4711).iban == "DE021203"


def test_a_composite_key_binds_in_the_order_of_the_table(session, acme):
    session.add(Visit(number=3, customer="ada", text="came early"))
    session.commit()
    raw = session.connection().execute(select(Visit.__table__.c.text)).scalar_one()
    assert FieldCipher("acme").decrypt("visits", "text", ("ada", 3), raw) == "came early"
    assert session.get_one(Visit, ("ada", 3)).text == "came early"
