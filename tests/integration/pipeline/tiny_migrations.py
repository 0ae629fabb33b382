"""A repository's migrations, small enough to be tried in a second."""

from __future__ import annotations

#: A migration tool of forty lines that starts in a tenth of Alembic's time, and speaks as it does.
TOOL = """
import os, pathlib, sys
import psycopg
verb, target = sys.argv[1], (sys.argv[2:] + [""])[0]
known = sorted(p.name.split(".")[0] for p in pathlib.Path("migrations").glob("*.up.sql"))
with psycopg.connect(os.environ["DATABASE_URL"]) as db:
    db.execute("CREATE TABLE IF NOT EXISTS alembic_version (version_num varchar(32) NOT NULL PRIMARY KEY)")
    row = db.execute("SELECT version_num FROM alembic_version").fetchone()
    at = known.index(row[0]) + 1 if row else 0
    if verb == "current":
        print("INFO  [migration] of a database")
        print(f"{known[at - 1]} (head)" if at else "")
        sys.exit()
    to = {"head": len(known), "base": 0}.get(target, known.index(target) + 1 if target in known else None)
    step = 1 if to > at else -1
    while at != to:
        name = known[at if step > 0 else at - 1]
        db.execute(pathlib.Path(f"migrations/{name}.{'up' if step > 0 else 'down'}.sql").read_text())
        at += step
    db.execute("DELETE FROM alembic_version")
    if at:
        db.execute("INSERT INTO alembic_version VALUES (%s)", [known[at - 1]])
"""
COMPATIBLE = """
import os, psycopg
with psycopg.connect(os.environ["DATABASE_URL"]) as db:
    db.execute("INSERT INTO orders (state, amount) VALUES ('open', 3)")
    db.execute("SELECT amount FROM orders")
"""
FIRST = {
    "migrate.py": TOOL,
    "compatible.py": COMPATIBLE,
    "migrations/0001.up.sql": """
        CREATE TYPE mood AS ENUM ('calm', 'busy');
        CREATE TABLE customers (id int PRIMARY KEY, name varchar(5) NOT NULL UNIQUE, mood mood NOT NULL, at timestamptz);
        CREATE TABLE orders (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer int REFERENCES customers,
            state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'paid')), amount numeric(10, 2) NOT NULL);
    """,
    "migrations/0001.down.sql": "DROP TABLE orders; DROP TABLE customers; DROP TYPE mood;",
}
TABLE: dict[str, object] = {
    "upgrade": ["python", "migrate.py", "upgrade", "{revision}"],
    "downgrade": ["python", "migrate.py", "downgrade", "{revision}"],
    "current": ["python", "migrate.py", "current"],
    "compatible_command": ["python", "compatible.py"],
}

ALEMBIC = {
    "alembic.ini": "[alembic]\nscript_location = migrations\n",
    "migrations/env.py": """
import os
from alembic import context
from sqlalchemy import create_engine
engine = create_engine(os.environ["DATABASE_URL"].replace("postgresql:", "postgresql+psycopg:"))
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
""",
}


def version(revision: str, down: str | None, up: str, back: str) -> str:
    head = f"import sqlalchemy as sa\nfrom alembic import op\nrevision, down_revision = {revision!r}, {down!r}\n"
    return f"{head}def upgrade(): {up}\ndef downgrade(): {back}\n"
