"""A customer of acme's in a database, and a session that it was added to; its tenant is bound where a test says `acme`."""

import pytest
from sqlalchemy.orm import Session

from steward.fieldcrypt import bound
from steward.fieldcrypt.keyring import State
from tests.unit.fieldcrypt.customers import PLAIN, added, database
from tests.unit.fieldcrypt.known_keys import KnownKeys, key_set


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
