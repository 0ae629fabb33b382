"""However it is declared, an encrypted attribute is the same; what cannot work is refused when mappers are configured."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from alembic.autogenerate import api, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, Session, declared_attr, mapped_column, registry

from steward.fieldcrypt import FieldCipher, bound
from steward.fieldcrypt.errors import CiphertextMoved
from steward.fieldcrypt.sqlalchemy import BlindIndex, Encrypted, MappingRefused, encrypted, render_item, sealed
from tests.unit.fieldcrypt.customers import Base, Customer, added, database
from tests.unit.fieldcrypt.known_keys import one_current


@pytest.fixture
def engine():
    with database(one_current()) as engine, bound("acme"):
        yield engine


def a_base(*bases):
    class Fresh(*bases, DeclarativeBase):
        pass

    return Fresh


def round_trip(engine, base, instance):
    """*instance* as another session reads it."""
    base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add(instance)
        session.commit()
        key = sa.inspect(instance).identity
    with Session(engine) as session:
        read = session.get_one(type(instance), key)
        _ = read.email
        return read


def test_the_table_has_ordinary_columns():
    columns = Customer.__table__.c
    assert list(columns.keys())[3:6] == ["email", "notes", "balance"]
    assert columns.email_index.index
    assert columns.email.nullable
    assert {str(columns[name].type.compile()) for name in ("email", "email_index", "notes")} == {"BLOB"}


def test_an_attribute_that_is_not_optional_is_not_null():
    class Person(a_base()):
        __tablename__ = "people"
        id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
        email: Mapped[str] = encrypted(searchable=True)
        name: Mapped[str] = encrypted(nullable=True)

    assert not Person.__table__.c.email.nullable
    assert Person.__table__.c.name.nullable


def test_a_table_and_a_class_of_its_own_map_as_well(engine):
    class Person:
        def __init__(self, row_id, email) -> None:
            self.id, self.email = row_id, email

    mapping = registry()
    table = sa.Table(
        "people",
        mapping.metadata,
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("email", Encrypted(searchable=True)),
        sa.Column("email_index", BlindIndex()),
    )
    mapping.map_imperatively(Person, table)
    read = round_trip(engine, mapping, Person(uuid4(), "x"))
    assert read.email == "x"
    with Session(engine) as session:
        assert session.scalars(sa.select(Person).where(Person.email == "x")).one().id == read.id


def test_a_dataclass_maps_as_well(engine):
    base = a_base(MappedAsDataclass)

    class Person(base):
        __tablename__ = "people"
        id: Mapped[UUID] = mapped_column(primary_key=True, default_factory=uuid4, init=False)
        email: Mapped[str | None] = encrypted(searchable=True, default=None, repr=False)

    person = Person(email="in clear")
    assert "in clear" not in repr(person)
    assert round_trip(engine, base, person).email == "in clear"
    assert round_trip(engine, base, Person()).email is None


def test_renamed_columns_open_under_the_names_of_before(engine):
    base = a_base()

    class Person(base):
        __tablename__ = "people"
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = encrypted("mail", table="customers", field="email", searchable=True)

    base.metadata.create_all(engine)
    with Session(engine) as session:
        session.execute(sa.insert(Person).values(id=1, **sealed(Person.email, 1, "x")))
        assert session.scalars(sa.select(Person).where(Person.email == "x")).one().email == "x"
        raw = session.connection().execute(sa.select(Person.__table__.c.mail)).scalar_one()
        assert raw == session.scalars(sa.select(Person.email)).one()


def test_a_schema_belongs_to_the_place(engine):
    base = a_base()

    class Person(base):
        __tablename__ = "people"
        __table_args__ = {"schema": "crm"}  # noqa: RUF012
        id: Mapped[int] = mapped_column(primary_key=True)
        email: Mapped[str] = encrypted()

    with engine.begin() as connection:
        connection.exec_driver_sql("ATTACH ':memory:' AS crm")
    assert round_trip(engine, base, Person(id=1, email="x")).email == "x"
    ciphertext = sealed(Person.email, 1, "x")["email"]
    assert FieldCipher("acme").decrypt("crm.people", "email", 1, ciphertext) == "x"
    with pytest.raises(CiphertextMoved):
        FieldCipher("acme").decrypt("people", "email", 1, ciphertext)


def refused(**body):
    class Broken(a_base()):
        __tablename__ = "broken"
        id: Mapped[int] = mapped_column(primary_key=True)
        locals().update(body)

    with pytest.raises(MappingRefused) as error:
        Broken.registry.configure()
    return str(error.value)


def test_an_index_column_that_is_missing_is_missed():
    late = declared_attr(lambda _: encrypted(searchable=True, nullable=True))
    assert "no mapped column email_index beside it" in refused(email=late)


@pytest.mark.parametrize(
    "options",
    [{"server_default": "x"}, {"onupdate": "x"}, {"primary_key": True}],
)
def test_a_value_that_does_not_come_from_the_application_cannot_be_encrypted(options):
    assert "the encrypted column broken.email is a key, or gets its value" in refused(email=encrypted(**options))


def test_a_tenant_column_that_does_not_exist_is_named():
    message = refused(email=encrypted(), __encrypted_for__="tennant_id")
    assert "Broken.__encrypted_for__ names 'tennant_id', which is no mapped column of it" in message


def test_alembic_sees_plain_bytes_and_no_difference_afterwards():
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": Base.metadata})
        script = produce_migrations(context, Base.metadata)
        rendering = {"render_item": render_item, "sqlalchemy_module_prefix": "sa.", "alembic_module_prefix": "op."}
        code = render_python_code(script.upgrade_ops, migration_context=context, **rendering)
        assert "sa.Column('email', sa.LargeBinary(), nullable=True)" in code
        assert "sa.Column('email_index', sa.LargeBinary(), nullable=True)" in code
        assert "op.create_index(op.f('ix_customers_email_index'), 'customers', ['email_index'], unique=False)" in code
        assert "steward" not in code
        Base.metadata.create_all(connection)
        assert api.compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_classes_without_encrypted_attributes_are_left_alone(engine):
    class Plain(a_base()):
        __tablename__ = "untouched"
        id: Mapped[int] = mapped_column(primary_key=True)

    Plain.registry.configure()
    assert not Plain.__mapper__.dispatch.before_insert
    with Session(engine) as session:
        assert added(session, email="x").email == "x"
