"""Whether an application's database is as its file of encrypted columns says: what does not fit is found before a rotation."""

from __future__ import annotations

import pytest

from replica import inventory
from steward.clients.encrypted_tables import find_faults
from steward.clients.postgres import connect
from steward.keys.columns import EncryptedColumns
from steward.settings import load
from tests.integration.encrypted_ground import BEFORE, COLUMNS, as_rotator, as_superuser, described, lay, sealed
from tests.integration.fresh_application import fresh_application

pytestmark = pytest.mark.without_search


@pytest.fixture(scope="module")
def laid(replica):
    with fresh_application(load(inventory.settings_file(replica))) as settings:
        yield settings


GOOD = f"CREATE TABLE {{name}} (id uuid PRIMARY KEY, {COLUMNS}, plan text NOT NULL)"


@pytest.mark.parametrize(
    ("name", "statements", "changes", "said"),
    [
        ("f1", [], {}, ["there is no table f1"]),
        ("f2", [GOOD, "ALTER TABLE f2 DROP COLUMN notes"], {}, ["f2 has no column notes"]),
        ("f3", [GOOD, "ALTER TABLE f3 ALTER notes TYPE text"], {}, ["f3.notes is text, expected bytea"]),
        ("f4", [GOOD], {"row_id": ["id", "plan"]}, ["f4 has primary key (id), expected (id, plan)"]),
        (
            "f5",
            [f"CREATE TABLE f5 (id uuid, {COLUMNS}, plan text NOT NULL)"],
            {},
            ["f5 has primary key (), expected (id)"],
        ),
        (
            "f6",
            [f"CREATE TABLE f6 (id numeric PRIMARY KEY, {COLUMNS}, plan text)"],
            {},
            ["f6.id is numeric, expected one of bigint, bytea, character varying, integer, text, uuid"],
        ),
        (
            "f7",
            [GOOD],
            {"golden": {}},
            ["f7.plan is NOT NULL without a default: say in `golden` what golden rows have there"],
        ),
        (
            "f8",
            [GOOD],
            {"golden": {"plan": "x", "plane": "x"}},
            ["f8 has no column plane, which its golden rows are to fill"],
        ),
        (
            "f9",
            [GOOD, "ALTER TABLE f9 ENABLE ROW LEVEL SECURITY"],
            {},
            ["f9 shows this user the rows that a policy allows only; expected a user with BYPASSRLS"],
        ),
        ("f10", [GOOD, "REVOKE UPDATE ON f10 FROM customers_rotator"], {}, ["this user may not UPDATE f10"]),
        ("f11", [GOOD, "REVOKE INSERT ON f11 FROM customers_rotator"], {}, ["this user may not INSERT f11"]),
        ("f12", [GOOD, "REVOKE SELECT ON f12 FROM customers_rotator"], {}, ["this user may not SELECT f12"]),
        (
            "f13",
            [GOOD, "CREATE TABLE f13_heir () INHERITS (f13)"],
            {},
            ["tables inherit from f13: their rows would be read with it, and not re-encrypted"],
        ),
        (
            "f14",
            [
                f"CREATE TABLE f14 (id int PRIMARY KEY, {COLUMNS}, plan text) PARTITION BY RANGE (id)",
                "CREATE TABLE f14_low PARTITION OF f14 FOR VALUES FROM (0) TO (9)",
            ],
            {},
            ["this user may not SELECT f14_low", "this user may not UPDATE f14_low"],
        ),
        (
            "f15",
            [
                f"CREATE TABLE f15 (id int PRIMARY KEY, {COLUMNS}, plan text) PARTITION BY RANGE (id)",
                "CREATE TABLE f15_low PARTITION OF f15 FOR VALUES FROM (0) TO (9)",
                "GRANT SELECT, UPDATE ON f15_low TO customers_rotator",
                "ALTER TABLE f15_low ENABLE ROW LEVEL SECURITY",
            ],
            {},
            ["f15_low shows this user the rows that a policy allows only; expected a user with BYPASSRLS"],
        ),
        ("f16", [GOOD], {}, []),
    ],
)
def test_what_would_stop_a_rotation_halfway_is_found_before_it(laid, name, statements, changes, said):
    made, *more = [statement.format(name=name) for statement in statements] or [""]
    if made:
        lay(laid, made, open_to_rotator=[name])
        lay(laid, *more, open_to_rotator=[])
    table = described(name, **{"golden": {"plan": "x"}, **changes})
    with connect(as_rotator(laid)) as connection:
        assert find_faults(connection, EncryptedColumns(table=(table,))) == said


def test_a_column_of_ciphertexts_that_nobody_described_is_found(laid):
    described_only = described("undescribed", field=[{"column": "notes"}])
    lay(laid, f"CREATE TABLE undescribed (id int PRIMARY KEY, {COLUMNS})", open_to_rotator=["undescribed"])
    columns = EncryptedColumns(table=(described_only,))
    with as_superuser(laid) as owner, connect(as_rotator(laid)) as connection:
        assert find_faults(connection, columns) == []
        owner.execute("INSERT INTO undescribed VALUES (1, 'acme', %s, '', NULL)", [b"no ciphertext " * 10])
        assert find_faults(connection, columns) == []
        ciphertext = sealed(described_only, BEFORE, 2)[0]
        owner.execute("INSERT INTO undescribed VALUES (2, 'acme', %s, '', NULL)", [ciphertext])
        assert find_faults(connection, columns) == [
            "public.undescribed.email holds ciphertexts, and the file of encrypted columns does not name it"
        ]
