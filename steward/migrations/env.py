"""What Alembic runs for each migration: the caller's connection, in the caller's transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alembic import context

if TYPE_CHECKING:
    from sqlalchemy import Connection

connection: Connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table_schema=context.config.attributes["schema"])
with context.begin_transaction():
    context.run_migrations()
