"""What is assigned to an encrypted attribute is read from it again, as from any other; its row has the ciphertext."""

from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import inspect, select
from sqlalchemy.orm import defer, load_only

from steward.fieldcrypt import FieldCipher, install
from steward.fieldcrypt.errors import ValueNotSupported
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.sqlalchemy import WriteRefused
from tests.unit.fieldcrypt.customers import PLAIN, Account, Customer, Letter, Parcel, Registered, Visit, added, stored
from tests.unit.fieldcrypt.known_keys import KnownKeys, key_set


def test_every_kind_of_value_comes_back_as_it_went_in(session, acme):
    values = {
        "email": "Ä\udc80@example.net",
        "notes": "",
        "balance": Decimal("-10.50"),
        "born": date(1815, 12, 10),
        "profile": {"tags": ["a", None, 1.5, True]},
    }
    customer = added(session, **values)
    session.expire_all()
    read = {name: getattr(customer, name) for name in values}
    assert read == values
    assert {name: type(value) for name, value in read.items()} == {name: type(v) for name, v in values.items()}


def test_none_is_null(session, acme):
    customer = added(session, email=None)
    assert stored(session, customer, "email") is None
    assert stored(session, customer, "email_index") is None
    session.expire_all()
    assert customer.email is None
    assert customer.notes is None


def test_the_row_holds_what_the_cipher_makes_for_this_place(session, customer):
    ciphertext = stored(session, customer, "email")
    cipher = FieldCipher("acme")
    assert cipher.decrypt("customers", "email", customer.id, ciphertext) == PLAIN
    assert stored(session, customer, "email_index") == cipher.blind_index("customers", "email", PLAIN)
    assert PLAIN.encode() not in ciphertext


def test_an_update_encrypts_anew_what_was_assigned_and_leaves_the_rest(session, customer, acme):
    email, notes = stored(session, customer, "email"), stored(session, customer, "notes")
    customer.email = "lovelace@example.net"
    session.flush()
    session.expire_all()
    assert customer.email == "lovelace@example.net"
    assert stored(session, customer, "email") != email
    assert stored(session, customer, "notes") == notes
    index = FieldCipher("acme").blind_index("customers", "email", "lovelace@example.net")
    assert stored(session, customer, "email_index") == index


def test_a_value_that_is_assigned_again_is_written_again_with_its_index(session, acme):
    customer = added(session, email="ada@example.net")
    session.flush()
    for value in ("ada@example.net", "grace@example.net", "grace@example.net", None, None, "ada@example.net"):
        customer.email = value
        session.flush()
        assert customer.email == value
        assert stored(session, customer, "email_index") == FieldCipher("acme").blind_index("customers", "email", value)
    assert session.scalars(select(Customer).where(Customer.email == "ada@example.net")).one() is customer


def test_a_value_that_is_taken_away_takes_its_index_along(session, customer, acme):
    session.commit()
    customer.email = None
    session.commit()
    assert customer.email is None
    assert stored(session, customer, "email") is None
    assert stored(session, customer, "email_index") is None


def test_a_rollback_brings_back_what_the_row_holds(session, customer, acme):
    session.commit()
    customer.email = "other@example.net"
    session.flush()
    session.rollback()
    assert customer.email == PLAIN
    customer.email = "another@example.net"
    session.rollback()
    assert customer.email == PLAIN


def test_expire_and_refresh_drop_what_was_assigned(session, customer, acme):
    session.commit()
    customer.email = "other@example.net"
    session.refresh(customer, ["email"])
    assert customer.email == PLAIN
    customer.email = "other@example.net"
    session.expire(customer, ["email"])
    assert customer.email == PLAIN


def test_an_object_whose_flush_was_rolled_back_can_be_added_again(session, acme):
    customer = added(session, email=PLAIN)
    session.rollback()
    assert customer.email == PLAIN
    session.add(customer)
    session.commit()
    assert customer.email == PLAIN


def test_what_is_read_from_one_object_can_be_assigned_to_another(session, customer, acme):
    other = added(session, email=customer.email)
    session.expire_all()
    assert other.email == PLAIN
    assert stored(session, other, "email") != stored(session, customer, "email")


def test_validators_see_the_value_and_defaults_are_encrypted(session, acme):
    account = Account(id=1, iban="DE02 1203")
    session.add(account)
    session.commit()
    assert account.iban == "DE021203"
    assert account.currency == "EUR"
    cipher = FieldCipher("acme")
    row = session.connection().execute(select(Account.__table__)).one()
    assert cipher.decrypt("accounts", "iban_sealed", 1, row.iban_sealed) == "DE021203"
    assert cipher.decrypt("accounts", "currency", 1, row.currency) == "EUR"


def test_one_mixin_in_two_tables_binds_to_each(session, acme):
    session.add_all([Visit(customer="ada", number=1, text="same"), Letter(kind="letter", text="same")])
    session.commit()
    visit, letter = session.scalars(select(Visit)).one(), session.scalars(select(Letter)).one()
    assert (visit.text, letter.text) == ("same", "same")
    indexes = [session.connection().execute(select(t.__table__.c.text_index)).scalar_one() for t in (Visit, Letter)]
    assert indexes[0] != indexes[1]


def test_inherited_attributes_are_encrypted_too(session, acme):
    session.add_all([Registered(text="a", receipt="b"), Parcel(text="c", content="d")])
    session.commit()
    registered, parcel = session.scalars(select(Registered)).one(), session.scalars(select(Parcel)).one()
    assert (registered.text, registered.receipt) == ("a", "b")
    assert (parcel.text, parcel.content) == ("c", "d")
    assert session.scalars(select(Parcel).where(Parcel.content == "d", Parcel.text == "c")).one() is parcel
    assert session.scalars(select(Letter).where(Letter.text == "a")).one() is registered


def test_loading_options_know_the_attribute(session, customer, acme):
    session.commit()
    session.expire_all()
    (loaded,) = session.scalars(select(Customer).options(load_only(Customer.email), defer(Customer.notes)))
    assert inspect(loaded).unloaded >= {"notes", "profile"}
    assert (loaded.email, loaded.notes) == (PLAIN, "likes tea")


def test_a_value_of_no_supported_type_names_the_field(session, acme):
    session.add(Customer(email=object()))
    with pytest.raises(ValueNotSupported) as refused:
        session.flush()
    assert refused.value.__notes__ == ["writing customers.email"]


def test_a_sql_expression_is_not_assigned(session, customer):
    for expression in (Customer.notes, Customer.__table__.c.notes):
        with pytest.raises(WriteRefused):
            customer.email = expression


def test_a_write_after_a_switch_of_keys_is_under_the_new_one_and_both_are_found(session, customer, acme):
    install(KnownKeys(key_set("acme", {7: State.PREVIOUS, 9: State.CURRENT})))
    added(session, email=PLAIN)
    session.expire_all()
    both = session.scalars(select(Customer).where(Customer.email == PLAIN)).all()
    assert [each.email for each in both] == [PLAIN, PLAIN]
    assert {int.from_bytes(stored(session, each, "email")[2:6], "big") for each in both} == {7, 9}
