"""What bypasses the mapper's events writes nothing to an encrypted column, unless it was sealed for its row."""

import traceback
from uuid import uuid4

import pytest
from sqlalchemy import LargeBinary, bindparam, cast, func, insert, literal, null, select, text, update
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, aliased

from steward.errors import BadInput
from steward.fieldcrypt import FieldCipher, bound
from steward.fieldcrypt.errors import CiphertextMoved, UnknownSuite
from steward.fieldcrypt.sqlalchemy import WriteRefused, sealed
from tests.unit.fieldcrypt.customers import Account, Customer, Plain, Visit, added, database, stored
from tests.unit.fieldcrypt.known_keys import one_current

PLAIN = "a plaintext that must not get out"
TABLE = Customer.__table__


@pytest.fixture
def session():
    with database(one_current()) as engine, bound("acme"), Session(engine) as session:
        added(session, email="ada@example.net", notes="likes tea")
        session.commit()
        yield session


def row(**values):
    return {"id": uuid4(), "tenant_id": "acme", **values}


UPSERT = sqlite.insert(Customer).values(row())

PLAINTEXTS = {
    "core insert": lambda s: s.execute(insert(TABLE).values(**row(notes=PLAIN))),
    "core insert, parameters": lambda s: s.execute(insert(TABLE), row(notes=PLAIN)),
    "core insert, many": lambda s: s.execute(insert(TABLE), [row(notes=PLAIN), row(notes=PLAIN)]),
    "core insert, rows of values": lambda s: s.execute(insert(TABLE).values([row(notes=PLAIN), row(notes=PLAIN)])),
    "core update": lambda s: s.execute(update(TABLE).values(notes=PLAIN)),
    "core update, parameters": lambda s: s.execute(update(TABLE), {"notes": PLAIN}),
    "core update, bound": lambda s: s.execute(update(TABLE).values(notes=bindparam("n")), {"n": PLAIN}),
    "connection": lambda s: s.connection().execute(insert(TABLE), row(notes=PLAIN)),
    "orm insert": lambda s: s.execute(insert(Customer).values(**row(notes=PLAIN))),
    "orm insert, many": lambda s: s.execute(insert(Customer), [row(notes=PLAIN), row(notes=PLAIN)]),
    "orm insert, returning": lambda s: s.scalars(insert(Customer).returning(Customer), [row(notes=PLAIN)]),
    "orm update": lambda s: s.execute(update(Customer).values(notes=PLAIN)),
    "orm update, attribute": lambda s: s.execute(update(Customer).values({Customer.notes: PLAIN})),
    "orm update, ordered": lambda s: s.execute(update(Customer).ordered_values((Customer.notes, PLAIN))),
    "orm update by key": lambda s: s.execute(update(Customer), [row(notes=PLAIN)]),
    "legacy query": lambda s: s.query(Customer).update({"notes": PLAIN}),
    "bulk_save_objects": lambda s: s.bulk_save_objects([Customer(**row(notes=PLAIN))]),
    "bulk_insert_mappings": lambda s: s.bulk_insert_mappings(Customer, [row(notes=PLAIN)]),
    "bulk_update_mappings": lambda s: s.bulk_update_mappings(Customer, [row(notes=PLAIN)]),
    "upsert": lambda s: s.execute(UPSERT.on_conflict_do_update(index_elements=["id"], set_={"notes": PLAIN})),
    "bytes": lambda s: s.execute(insert(TABLE), row(notes=PLAIN.encode())),
    "literal": lambda s: s.execute(update(TABLE).values(notes=literal(PLAIN, TABLE.c.notes.type))),
    "index": lambda s: s.execute(update(TABLE).values(email=None, email_index=PLAIN.encode())),
    "a searched column alone": lambda s: s.execute(update(TABLE).values(email=PLAIN)),
    "a class with a composite key": lambda s: s.execute(
        insert(Visit), [{"customer": "a", "number": 1, "text": PLAIN, "text_index": None}]
    ),
}

EXPRESSIONS = {
    "column to column": lambda: update(Customer).values(notes=Customer.email),
    "column to column, core": lambda: update(TABLE).values({TABLE.c.notes: TABLE.c.email}),
    "column to column, ordered": lambda: update(Customer).ordered_values((Customer.notes, Customer.email)),
    "column to column, alias": lambda: update(aliased(Customer)).values(notes=Customer.email),
    "column to column, other names": lambda: update(Account).values(iban=Account.currency, iban_index=None),
    "subquery": lambda: update(Customer).values(notes=select(Customer.email).limit(1).scalar_subquery()),
    "function": lambda: insert(Customer).values(**row(notes=func.upper(PLAIN))),
    "cast": lambda: update(Customer).values(notes=cast(b"x", LargeBinary)),
    "text": lambda: update(Customer).values(notes=text("'x'")),
    "a type of its own": lambda: update(Customer).values(notes=literal(b"x", LargeBinary)),
    "rows of values": lambda: insert(Customer).values([row(notes=Customer.email), row(notes=None)]),
    "insert from select": lambda: insert(Customer).from_select(
        ["id", "tenant_id", "notes"], select(Customer.id, Customer.tenant_id, Customer.email)
    ),
    "insert from select, core": lambda: insert(TABLE).from_select(
        [TABLE.c.id, TABLE.c.notes], select(TABLE.c.id, TABLE.c.notes)
    ),
    "insert from select, index": lambda: insert(TABLE).from_select(
        ["id", "email_index"], select(TABLE.c.id, TABLE.c.email_index)
    ),
    "upsert": lambda: UPSERT.on_conflict_do_update(index_elements=["id"], set_={"notes": UPSERT.excluded.notes}),
    "inside a CTE": lambda: select(update(TABLE).values(notes=TABLE.c.email).returning(TABLE.c.id).cte("changed").c.id),
}


@pytest.mark.parametrize("write", PLAINTEXTS.values(), ids=PLAINTEXTS)
def test_a_plaintext_is_refused_and_not_told(session, write):
    with pytest.raises(WriteRefused) as refused:
        write(session)
    assert isinstance(refused.value, BadInput)
    assert refused.value.hint
    assert PLAIN not in "".join(traceback.format_exception(refused.value))


def test_a_plaintext_is_not_rendered_for_somebody_s_eyes(session):
    row_id = uuid4()
    for value in (PLAIN, PLAIN.encode(), sealed(Customer.notes, row_id, PLAIN)["notes"]):
        statement = update(TABLE).values(notes=value)
        rendered = statement.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True})
        assert PLAIN not in str(rendered)


@pytest.mark.parametrize("statement", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_what_the_database_would_compute_or_copy_is_refused(session, statement):
    with pytest.raises(WriteRefused, match="for an encrypted column"):
        session.execute(statement())


def test_a_ciphertext_that_was_read_is_not_written_elsewhere(session):
    email = session.scalars(select(Customer.email)).one()
    with pytest.raises(WriteRefused):
        session.execute(update(Customer).values(notes=email))


def test_what_was_sealed_for_its_row_is_written_by_any_statement(session):
    ids = [uuid4() for _ in range(3)]
    session.execute(insert(TABLE).values(**row(id=ids[0]), **sealed(TABLE.c.email, ids[0], "core")))
    session.execute(insert(Customer), [row(id=ids[1], **sealed(Customer.email, ids[1], "orm"))])
    session.bulk_insert_mappings(Customer, [row(id=ids[2], **sealed(Customer.email, ids[2], "bulk"))])
    session.execute(
        update(Customer).where(Customer.id == ids[1]).values(**sealed(Customer.email, ids[1], "orm, updated"))
    )
    assert [session.get_one(Customer, row_id).email for row_id in ids] == ["core", "orm, updated", "bulk"]
    assert session.scalars(select(Customer.id).where(Customer.email == "bulk")).one() == ids[2]


@pytest.mark.parametrize("half", ["email", "email_index"])
def test_half_a_pair_is_refused_also_after_the_same_statement_was_refused_for_its_value(session, half):
    statement, row_id = update(TABLE).where(TABLE.c.id == bindparam("row")), uuid4()
    for value in (PLAIN, sealed(Customer.email, row_id, "ada@example.net")[half]):
        with pytest.raises(WriteRefused):
            session.execute(statement.values({half: bindparam("half")}), {"row": row_id, "half": value})
        with pytest.raises(WriteRefused):
            session.execute(statement, {"row": row_id, half: value})


def test_what_is_sealed_goes_by_the_attribute_s_name_or_the_column_s(session):
    session.execute(insert(Account), [{"id": 1, **account(Account, 1)}])
    session.execute(insert(Account).values(id=2, **account(Account, 2)))
    session.execute(insert(Account.__table__), {"id": 3, **account(Account.__table__.c, 3)})
    assert [session.get_one(Account, number).iban for number in (1, 2, 3)] == ["DE1", "DE2", "DE3"]
    alone = sealed(Account.iban, 4, "alone")["iban"]
    with pytest.raises(WriteRefused, match=r"accounts\.iban_sealed without iban_sealed_index"):
        session.execute(insert(Account).values(id=4, currency=None, iban=alone))


def account(columns, row_id):
    iban = columns.iban if columns is Account else columns.iban_sealed
    return {**sealed(iban, row_id, f"DE{row_id}"), **sealed(columns.currency, row_id, "CHF")}


def test_a_default_of_the_model_is_refused_where_only_a_statement_would_write_it(session):
    with pytest.raises(WriteRefused, match="of type str"):
        session.execute(insert(Account).values(id=5, **sealed(Account.iban, 5, "x")))


def test_what_was_sealed_for_another_row_is_written_and_does_not_open(session):
    other, this = uuid4(), uuid4()
    session.execute(insert(Customer), [row(id=this, **sealed(Customer.notes, other, "x"))])
    with pytest.raises(CiphertextMoved):
        _ = session.get_one(Customer, this).notes


def test_sealing_follows_the_value(session):
    assert sealed(Customer.email, uuid4(), None) == {"email": None, "email_index": None}
    assert set(sealed(Customer.notes, uuid4(), "x")) == {"notes"}
    with pytest.raises(WriteRefused, match="no encrypted column"):
        sealed(Customer.plan, uuid4(), "x")


def test_null_is_written_with_its_index_or_not_at_all(session):
    for half in ({"email": None}, {"email_index": None}):
        with pytest.raises(WriteRefused, match="without"):
            session.execute(update(Customer).values(**half))
        with pytest.raises(WriteRefused, match="without"):
            session.execute(update(TABLE), half)
    session.execute(update(Customer).values(email=None, email_index=None, notes=null()))
    assert session.scalars(select(Customer.id).where(Customer.email.is_(None), Customer.notes.is_(None))).all()


def test_statements_that_write_nothing_encrypted_pass(session):
    session.execute(update(Customer).values(plan=Customer.tenant_id))
    session.execute(insert(Customer).from_select(["id", "tenant_id"], select(literal(uuid4().hex), literal("acme"))))
    session.execute(insert(Plain).values(id=1, raw=b"bytes"))
    session.execute(update(Plain).values(raw=cast(b"x", LargeBinary)))
    assert session.get_one(Plain, 1).raw == b"x"


def test_a_mapped_object_cannot_smuggle_in_an_index(session):
    customer = session.scalars(select(Customer)).one()
    customer.email_index = b"of my own"
    with pytest.raises(WriteRefused):
        session.flush()


def test_the_database_s_own_error_shows_ciphertexts_only(session):
    customer = session.scalars(select(Customer)).one()
    session.add(Customer(email=PLAIN, notes=PLAIN, tenant_id="acme", id=customer.id))
    session.expunge(customer)
    with pytest.raises(IntegrityError) as failed:
        session.flush()
    assert PLAIN not in str(failed.value)


def test_raw_sql_is_seen_by_nobody_until_it_is_read(session):
    session.execute(text("UPDATE customers SET notes = CAST('in clear' AS BLOB)"))
    with pytest.raises(UnknownSuite) as refused:
        _ = session.scalars(select(Customer)).one().notes
    assert "clear" not in str(refused.value)


def test_a_column_alone_is_a_ciphertext_that_the_cipher_opens(session):
    row_id, ciphertext = session.execute(select(Customer.id, Customer.email)).one()
    assert FieldCipher("acme").decrypt("customers", "email", row_id, ciphertext) == "ada@example.net"
    assert stored(session, session.get_one(Customer, row_id), "email") == ciphertext
