"""A detached object reads on, and is merged and pickled, for as long as it stands for its own row."""

import copy
import pickle
from uuid import uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, make_transient

from steward.fieldcrypt.errors import CiphertextMoved
from steward.fieldcrypt.sqlalchemy import PendingNotPickled
from tests.unit.fieldcrypt.customers import PLAIN, Customer, stored


def test_a_detached_object_reads_on_and_comes_back(engine, session, customer, acme):
    session.commit()
    _ = customer.email, customer.plan, customer.id
    session.expunge(customer)
    assert customer.email == PLAIN
    customer.email = "later@example.net"
    with Session(engine) as another:
        another.add(customer)
        another.commit()
        assert customer.email == "later@example.net"


def test_merge_takes_over_what_was_assigned_to_a_detached_object(engine, session, customer, acme):
    session.commit()
    _ = customer.email
    session.expunge(customer)
    customer.email = "merged@example.net"
    with Session(engine) as another:
        merged = another.merge(customer)
        assert merged.email == "merged@example.net"
        another.commit()
        assert another.scalars(select(Customer).where(Customer.email == "merged@example.net")).one() is merged


def test_merge_of_an_unchanged_object_writes_nothing(engine, session, customer, acme):
    session.commit()
    _ = customer.email, customer.notes
    session.expunge(customer)
    with Session(engine) as another:
        before = stored(another, customer, "email")
        merged = another.merge(customer)
        another.flush()
        assert stored(another, customer, "email") == before
        assert merged.email == PLAIN


def test_merge_without_load_reads_on(engine, session, customer, acme):
    session.commit()
    session.refresh(customer)
    session.expunge(customer)
    with Session(engine) as another:
        assert another.merge(customer, load=False).email == PLAIN


def test_merge_of_an_older_copy_writes_it_for_its_own_row(engine, session, customer, acme):
    session.commit()
    session.refresh(customer)
    session.expunge(customer)
    with Session(engine) as another:
        another.get_one(Customer, customer.id).email = "newer@example.net"
        another.commit()
        merged = another.merge(customer)
        another.commit()
        assert merged.email == PLAIN
        assert another.scalars(select(Customer).where(Customer.email == PLAIN)).one() is merged


def test_a_pickled_object_holds_ciphertexts_and_reads_on(session, customer, acme):
    session.commit()
    session.refresh(customer)
    pickled = pickle.dumps(customer)
    assert PLAIN.encode() not in pickled
    assert pickle.loads(pickled).email == PLAIN  # noqa: S301  its own


@pytest.mark.parametrize("copying", [pickle.dumps, copy.deepcopy])
def test_an_object_with_an_unflushed_value_is_not_pickled_or_copied(copying):
    with pytest.raises(PendingNotPickled) as refused:
        copying(Customer(email=PLAIN))
    assert PLAIN not in str(refused.value)


def test_a_copy_made_transient_is_refused_under_another_key(session, customer, acme):
    session.commit()
    session.refresh(customer)
    make_transient(customer)
    customer.id = uuid4()
    session.add(customer)
    with pytest.raises(CiphertextMoved) as refused:
        session.flush()
    assert refused.value.__notes__ == ["reading customers.email"]
