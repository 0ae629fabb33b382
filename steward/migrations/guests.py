"""What users of Steward's database who own nothing of it may do there. Granted by each migration, to those that there are."""

from __future__ import annotations

from sqlalchemy import Connection, text

#: The user of applications that are released behind flags. Where there is none, no application counts outcomes.
FLAGS_APPLICATION = "flags_application"


def grant_guests(connection: Connection) -> None:
    """As often as one likes: a user who was made later gets its rights by the next migration."""
    connection.execute(text(_GRANTS))


# Their own outcomes by the one function, and the sums of all: never a row of a user, never a flag.
_GRANTS = f"""
DO $$
BEGIN
    IF to_regnamespace('flags') IS NULL
       OR NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{FLAGS_APPLICATION}') THEN
        RETURN;
    END IF;
    GRANT USAGE ON SCHEMA flags TO {FLAGS_APPLICATION};
    GRANT EXECUTE ON FUNCTION flags.record TO {FLAGS_APPLICATION};
    GRANT SELECT ON flags.totals TO {FLAGS_APPLICATION};
END $$
"""
