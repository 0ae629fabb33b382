"""An encrypted attribute is assigned and read as any other, whatever becomes of its object."""

import copy
import logging
import pickle
from datetime import date
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import inspect, select
from sqlalchemy.orm import Session, defer, load_only, make_transient

from steward.fieldcrypt import FieldCipher, bound, install
from steward.fieldcrypt.errors import (
    CiphertextForeign,
    CiphertextMoved,
    CiphertextTampered,
    TenantNotBound,
    ValueNotSupported,
)
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.sqlalchemy import OtherTenant, PendingNotPickled, RowIdChanged, RowIdUnknown, WriteRefused
from tests.unit.fieldcrypt.customers import (
    Account,
    Customer,
    Letter,
    Parcel,
    Registered,
    Visit,
    added,
    database,
    stored,
)
from tests.unit.fieldcrypt.known_keys import KnownKeys, key_set

PLAIN = "ada@example.net"


@pytest.fixture
def engine():
    keys = KnownKeys(key_set("acme", {7: State.CURRENT}), key_set("globex", {8: State.CURRENT}))
    with database(keys) as engine:
        yield engine


@pytest.fixture
def session(engine):
    with Session(engine) as session:
        yield session


@pytest.fixture
def acme():
    with bound("acme"):
        yield


@pytest.fixture
def customer(session):
    return added(session, email=PLAIN, notes="likes tea")


def everything_in(instance):
    """All that pickle would write of what an object holds."""
    state = inspect(instance)
    return repr((state.dict, state.committed_state))


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


def test_a_value_reads_back_before_the_flush_and_needs_no_tenant_until_then(session):
    customer = Customer(email=PLAIN)
    assert customer.email == PLAIN
    session.add(customer)
    with pytest.raises(TenantNotBound):
        session.flush()


def test_the_row_holds_what_the_cipher_makes_for_this_place(session, customer):
    ciphertext = stored(session, customer, "email")
    cipher = FieldCipher("acme")
    assert cipher.decrypt("customers", "email", customer.id, ciphertext) == PLAIN
    assert stored(session, customer, "email_index") == cipher.blind_index("customers", "email", PLAIN)
    assert PLAIN.encode() not in ciphertext


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


def test_an_update_of_other_columns_needs_no_tenant_and_touches_no_ciphertext(session, customer):
    before = stored(session, customer, "email")
    customer.plan = "gold"
    session.flush()
    assert stored(session, customer, "email") == before


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


def test_what_is_read_from_one_object_can_be_assigned_to_another(session, customer, acme):
    other = added(session, email=customer.email)
    session.expire_all()
    assert other.email == PLAIN
    assert stored(session, other, "email") != stored(session, customer, "email")


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


def test_a_composite_key_binds_in_the_order_of_the_table(session, acme):
    session.add(Visit(number=3, customer="ada", text="came early"))
    session.commit()
    raw = session.connection().execute(select(Visit.__table__.c.text)).scalar_one()
    assert FieldCipher("acme").decrypt("visits", "text", ("ada", 3), raw) == "came early"
    assert session.get_one(Visit, ("ada", 3)).text == "came early"


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
