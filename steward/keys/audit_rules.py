"""What the keyring's migration lays: rights, functions, triggers, constraints. A test holds it against a migrated database.

A new revision of the keyring changes this file; the test says to what.
"""

from __future__ import annotations

#: The revision that these are the rules of.
REVISION = "0001"

#: (object, grantee, privilege).
GRANTS = (
    ("database", "keyring_reader", "CONNECT"),
    ("function keyring.acknowledge(uuid,text,integer,bigint)", "keyring_reader", "EXECUTE"),
    ("function keyring.leave(uuid)", "keyring_reader", "EXECUTE"),
    ("schema keyring", "keyring_reader", "USAGE"),
    ("table keyring.alembic_version", "keyring_reader", "SELECT"),
    ("table keyring.epochs", "keyring_reader", "SELECT"),
    ("table keyring.generations", "keyring_reader", "SELECT"),
    ("table keyring.readers", "keyring_reader", "SELECT"),
    ("table keyring.tenants", "keyring_reader", "SELECT"),
    ("table keyring.wraps", "keyring_reader", "SELECT"),
)

#: By signature: whose rights, its settings, the MD5 of its body (a comparison, not a promise).
FUNCTIONS = {
    "keyring.acknowledge(uuid,text,integer,bigint)": "definer search_path=pg_catalog 640471c94a2a3a8ac68becc11ecd638d",
    "keyring.admit_generation()": "invoker 879a5586883f16a3b9437bc717a721f2",
    "keyring.check_tenant()": "invoker 0fbf51e8f8bf6ba99312ed327639f19c",
    "keyring.check_wrapped()": "invoker d8e6b13fbe544adb406eef5a0189f08a",
    "keyring.guard_generation()": "invoker 09c1c43f65e6a481981580e855ea0785",
    "keyring.guard_tenant()": "invoker 66b9170db069afdda7eaab0b2f54c6f9",
    "keyring.guard_wrap()": "invoker 7f4c1f0a705644041fe07a7a19a1c5a1",
    "keyring.leave(uuid)": "definer search_path=pg_catalog 6d8fab8428d84b2a4b73ca79803457c0",
    "keyring.move_epoch(text,text)": "invoker 98252185089f14ffb61c8611c0cc9ddf",
    "keyring.note_generation()": "invoker 22460414224b7271a66e4ebe86c1b3bd",
    "keyring.note_tenant()": "invoker cded2f52e7369329d04272da6359a4e9",
    "keyring.note_wrap()": "invoker b644af89dd2a8a307ffd2ef34beec7ae",
    "keyring.refuse()": "invoker c7f2e4aadb6d692c37a68b9cac300029",
}

#: By table and name: the function, pg_trigger's type, O for enabled.
TRIGGERS = {
    "keyring.generations.admit": "keyring.admit_generation 7 O",
    "keyring.generations.check_tenant": "keyring.check_tenant 21 O deferrable",
    "keyring.generations.check_wrapped": "keyring.check_wrapped 21 O deferrable",
    "keyring.generations.guard": "keyring.guard_generation 19 O",
    "keyring.generations.never": "keyring.refuse 34 O",
    "keyring.generations.note": "keyring.note_generation 21 O",
    "keyring.generations.stay": "keyring.refuse 11 O",
    "keyring.tenants.check_tenant": "keyring.check_tenant 21 O deferrable",
    "keyring.tenants.guard": "keyring.guard_tenant 19 O",
    "keyring.tenants.never": "keyring.refuse 34 O",
    "keyring.tenants.note": "keyring.note_tenant 17 O",
    "keyring.tenants.stay": "keyring.refuse 11 O",
    "keyring.wraps.check_wrapped": "keyring.check_wrapped 13 O deferrable",
    "keyring.wraps.guard": "keyring.guard_wrap 11 O",
    "keyring.wraps.never": "keyring.refuse 34 O",
    "keyring.wraps.note": "keyring.note_wrap 13 O",
    "keyring.wraps.stay": "keyring.refuse 19 O",
}

#: Validated ones, unique indexes included.
CONSTRAINTS = (
    "keyring.alembic_version.alembic_version_pkc",
    "keyring.epochs.epochs_pkey",
    "keyring.generations.generations_key_id_check",
    "keyring.generations.generations_number_check",
    "keyring.generations.generations_pkey",
    "keyring.generations.generations_state_check",
    "keyring.generations.generations_tenant_fkey",
    "keyring.generations.generations_tenant_number_key",
    "keyring.generations.one_current_a_tenant",
    "keyring.generations.one_incoming_a_tenant",
    "keyring.readers.readers_epoch_check",
    "keyring.readers.readers_host_check",
    "keyring.readers.readers_pkey",
    "keyring.tenants.tenants_pkey",
    "keyring.tenants.tenants_tenant_check",
    "keyring.wraps.wraps_kek_check",
    "keyring.wraps.wraps_key_id_fkey",
    "keyring.wraps.wraps_pkey",
    "keyring.wraps.wraps_wrapped_check",
)
