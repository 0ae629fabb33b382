"""The token compared in the effect's own transaction: for effects in Steward's own database."""

from __future__ import annotations

from steward.clients.postgres import Connection
from steward.operations.claims import refusal
from steward.operations.holding import current


def fence(connection: Connection) -> None:
    """Let the transaction of *connection* commit only as the current holder's.

    First statement of the transaction. Until it ends, nobody can take the operation over: the claim, which is an update
    of the row that is shared here, waits for the commit. So does this holder's own heartbeat: keep the transaction
    shorter than a lease. Nothing is asked of the clock. Raises Superseded, and psycopg's errors.
    """
    held = current()
    if connection.execute(_SHARE, held.operation.keys).fetchone() is None:
        raise refusal(held.ledger, held.operation)


_SHARE = """
SELECT 1 FROM steward.operations WHERE id = %(id)s AND token = %(token)s AND state = 'running' FOR SHARE
"""
