"""Equality is searched in the blind index; whatever ciphertexts cannot answer is refused before it is asked."""

from decimal import Decimal

import pytest
from sqlalchemy import LargeBinary, bindparam, func, literal, null, select, update
from sqlalchemy.orm import Session, aliased

from steward.fieldcrypt import bound, install
from steward.fieldcrypt.errors import TenantNotBound, ValueNotSupported
from steward.fieldcrypt.keyring import State
from steward.fieldcrypt.sqlalchemy import SearchRefused
from tests.unit.fieldcrypt.customers import Account, Customer, added, database
from tests.unit.fieldcrypt.known_keys import KnownKeys, key_set, one_current

PLAIN = "ada@example.net"


@pytest.fixture
def engine():
    acme = key_set("acme", {7: State.CURRENT, 9: State.INCOMING})
    with database(KnownKeys(acme, key_set("globex", {8: State.CURRENT}))) as engine:
        yield engine


@pytest.fixture
def session(engine):
    with bound("acme"), Session(engine) as session:
        added(session, plan="gold", email=PLAIN, balance=Decimal("1.0"))
        added(session, plan="gold", email="bob@example.net", balance=Decimal(2))
        added(session, plan="free", email=None)
        session.commit()
        yield session


def found(session, *conditions):
    return sorted(str(customer.email) for customer in session.scalars(select(Customer).where(*conditions)))


def test_equality_finds_exactly_the_rows(session):
    assert found(session, Customer.email == PLAIN) == [PLAIN]
    assert found(session, PLAIN == Customer.email) == [PLAIN]  # noqa: SIM300
    assert found(session, Customer.email == "ADA@example.net") == []
    assert found(session, Customer.email == PLAIN, Customer.plan == "free") == []


def test_in_finds_each_of_several(session):
    assert found(session, Customer.email.in_([PLAIN, "bob@example.net", "nobody"])) == [PLAIN, "bob@example.net"]
    assert found(session, Customer.email.in_(name for name in [PLAIN])) == [PLAIN]
    assert found(session, Customer.email.in_([])) == []


def test_null_is_searched_as_ever(session):
    assert found(session, Customer.email.is_(None)) == ["None"]
    assert found(session, Customer.email == None) == ["None"]  # noqa: E711
    assert found(session, Customer.email == null()) == ["None"]
    assert found(session, Customer.email.is_not(None)) == [PLAIN, "bob@example.net"]
    assert found(session, Customer.email != None) == [PLAIN, "bob@example.net"]  # noqa: E711
    assert found(session, Customer.notes.is_(None)) == ["None", PLAIN, "bob@example.net"]


def test_filter_by_aliases_and_subqueries_are_searched_too(session):
    assert session.scalars(select(Customer).filter_by(email=PLAIN)).one().email == PLAIN
    other = aliased(Customer)
    assert session.scalars(select(other).where(other.email == PLAIN)).one().email == PLAIN
    below = select(Customer).where(Customer.plan == "gold").subquery()
    assert session.scalars(select(below.c.plan).where(below.c.email == PLAIN)).all() == ["gold"]
    assert session.scalar(select(func.count()).select_from(Customer).where(Customer.email == PLAIN)) == 1


def test_a_table_without_a_class_is_searched_too(session):
    table = Customer.__table__
    assert session.execute(select(table.c.plan).where(table.c.email == PLAIN)).scalars().all() == ["gold"]


def test_every_live_generation_is_searched_and_no_plaintext_is_a_parameter(session):
    compiled = select(Customer).where(Customer.email == PLAIN).compile()
    (indexes,) = compiled.params.values()
    assert [int.from_bytes(index[:4], "big") for index in indexes] == [9, 7]
    assert PLAIN.encode() not in b"".join(indexes)


def test_one_live_generation_is_searched_by_plain_equality(session):
    install(one_current())
    assert "email_index = :" in str(Customer.email == PLAIN)
    assert found(session, Customer.email == PLAIN) == [PLAIN]
    assert found(session, Customer.email.in_([PLAIN])) == [PLAIN]


def test_numbers_are_equal_as_numbers(session):
    assert found(session, Customer.balance == Decimal("1.00")) == [PLAIN]
    with pytest.raises(ValueNotSupported):
        found(session, Customer.balance == 1.0)


def test_updates_and_deletes_are_searched_and_loaded_objects_follow(session):
    customer = session.scalars(select(Customer).where(Customer.email == PLAIN)).one()
    session.execute(update(Customer).where(Customer.email == PLAIN).values(plan="silver"))
    assert customer.plan == "silver"
    assert found(session, Customer.plan == "silver") == [PLAIN]


def test_a_search_means_the_bound_tenant(session):
    with bound("globex"):
        assert session.scalars(select(Customer).where(Customer.email == PLAIN)).all() == []


def test_a_search_needs_a_tenant():
    with pytest.raises(TenantNotBound):
        _ = Customer.email == PLAIN


@pytest.mark.parametrize(
    "condition",
    [
        lambda: Customer.email != PLAIN,
        lambda: Customer.email.not_in([PLAIN]),
        lambda: Customer.email.like("ada%"),
        lambda: Customer.email.ilike("ada%"),
        lambda: Customer.email.startswith("ada"),
        lambda: Customer.email.contains("ada"),
        lambda: Customer.email < PLAIN,
        lambda: Customer.email.between("a", "b"),
        lambda: Customer.email + "x",
        lambda: "x" + Customer.email,
        Customer.email.desc,
        Customer.email.asc,
        Customer.email.distinct,
        lambda: Customer.email.is_distinct_from(PLAIN),
        lambda: Customer.email == literal(PLAIN),
        lambda: Customer.email == bindparam("email"),
        lambda: Customer.email == func.lower(PLAIN),
        lambda: Customer.email.in_(select(Account.currency)),
        lambda: Customer.email.in_([PLAIN, None]),
        lambda: Customer.email.in_([Customer.notes]),
        lambda: Customer.email.in_(bindparam("emails", expanding=True)),
    ],
)
def test_what_an_index_cannot_answer_is_refused_with_a_hint(condition):
    with bound("acme"), pytest.raises(SearchRefused) as refused:
        condition()
    assert "does not allow" in refused.value.message
    assert "==" in refused.value.hint
    assert PLAIN not in str(refused.value)


@pytest.mark.parametrize("condition", [lambda: Customer.notes == "x", lambda: Customer.notes.in_(["x"])])
def test_a_column_without_an_index_is_not_searched(condition):
    with bound("acme"), pytest.raises(SearchRefused, match="'notes' does not allow a search, for it has no index"):
        condition()


def test_a_subquery_without_the_index_column_is_not_searched():
    below = select(Customer.email).subquery()
    with bound("acme"), pytest.raises(SearchRefused, match="its index column is not selected beside it"):
        _ = below.c.email == PLAIN


def test_two_encrypted_columns_are_not_compared(session):
    for compared in (Customer.email == Customer.notes, Customer.email != Customer.__table__.c.notes):
        with pytest.raises(SearchRefused, match="another column"):
            session.scalars(select(Customer).where(compared))


def test_lists_of_columns_are_searched_in_python_as_ever():
    table = Customer.__table__
    assert table.c.email in [table.c.notes, table.c.email]
    assert table.c.email not in [table.c.notes, table.c.plan]


@pytest.mark.parametrize(
    "statement",
    [
        lambda: select(Customer).order_by(Customer.email),
        lambda: select(Customer.__table__).order_by(Customer.__table__.c.plan, Customer.__table__.c.email),
        lambda: select(func.count()).select_from(Customer).group_by(Customer.email),
    ],
)
def test_nothing_is_sorted_or_grouped_by_ciphertexts(session, statement):
    with pytest.raises(SearchRefused, match="sorts or groups"):
        session.execute(statement())


def test_equal_rows_are_counted_by_the_index(session):
    added(session, email=PLAIN)
    counts = session.execute(
        select(func.count()).where(Customer.email.is_not(None)).group_by(Customer.email_index.cast(LargeBinary))
    )
    assert sorted(counts.scalars()) == [1, 2]
