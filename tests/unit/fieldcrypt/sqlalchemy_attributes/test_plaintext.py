"""No plaintext shows in an object that was flushed, in a pending one, in the log or in an error."""

import logging
from uuid import uuid4

import pytest
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session

from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.errors import CiphertextForeign, CiphertextMoved, CiphertextTampered
from tests.unit.fieldcrypt.customers import PLAIN, Customer, stored


def everything_in(instance):
    """All that pickle would write of what an object holds."""
    state = inspect(instance)
    return repr((state.dict, state.committed_state))


def test_no_plaintext_stays_in_the_object_once_it_is_flushed(session, customer, acme):
    assert customer.email == PLAIN
    customer.notes = "likes coffee"
    session.flush()
    assert PLAIN not in everything_in(customer)
    assert "likes" not in everything_in(customer)


def test_no_plaintext_shows_in_a_pending_object_or_its_history(session):
    customer = Customer(email=PLAIN)
    assert PLAIN not in everything_in(customer)
    assert PLAIN not in repr(inspect(customer).attrs.email.history)


def test_the_log_of_statements_shows_no_plaintext(engine, caplog, acme):
    engine.echo = True
    with caplog.at_level(logging.INFO, "sqlalchemy.engine"), Session(engine) as session:
        customer = Customer(email=PLAIN)
        session.add(customer)
        session.flush()
        session.scalars(select(Customer).where(Customer.email == PLAIN)).one()
    assert "INSERT INTO customers" in caplog.text
    assert PLAIN not in caplog.text


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda raw: raw[:-1] + bytes([raw[-1] ^ 1]), CiphertextTampered),
        (lambda _: FieldCipher("acme").encrypt("customers", "email", uuid4(), PLAIN), CiphertextMoved),
        (lambda _: FieldCipher("globex").encrypt("customers", "email", uuid4(), PLAIN), CiphertextForeign),
    ],
)
def test_a_damaged_row_says_which_field_and_nothing_of_its_value(session, customer, acme, change, error):
    raw = change(stored(session, customer, "email"))
    session.connection().exec_driver_sql("UPDATE customers SET email = ?", (raw,))
    session.expire_all()
    with pytest.raises(error) as refused:
        _ = customer.email
    assert refused.value.__notes__ == ["reading customers.email"]
    assert PLAIN not in str(refused.value)
