"""What is done in the journal of key calls, and what it then has that is new."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime

from steward.clients.key_calls import list_calls, summary
from steward.clients.postgres import connect
from steward.evidence.statements import Statement, artifact_of
from steward.evidence.store import record
from steward.verdicts import Verdict

PAYLOAD = bytes(range(64))
PRINCIPAL = "rotator"
_before = 0


def begin_at_the_end(settings):
    """Take what is in the journal by now for another test's."""
    global _before  # noqa: PLW0603 # one test at a time
    with connect(settings) as connection:
        _before = max((call.id for call in list_calls(connection)), default=0)


def operation(settings, name="rotation"):
    """An operation of the ledger, as a flow would have begun it."""
    sql = "INSERT INTO steward.operations (name, subject, resource) VALUES (%s, %s, 'keyring') RETURNING id"
    with connect(settings) as connection:
        return connection.execute(sql, [name, secrets.token_hex(4)]).fetchone()[0]


def statement(period, told):
    now = datetime.now(UTC)
    return Statement(
        operation="rotation",
        subject="keys",
        period=str(period),
        attempt=1,
        verdict=Verdict.VERIFIED,
        claim="all that was called is told",
        artifacts=(artifact_of("request", period),),
        figures={"key_calls": told},
        started=now,
        finished=now,
    )


def tell(settings, operation_id):
    """A statement of the operation, as a flow would record it."""
    with connect(settings) as connection:
        told = summary(connection, operation_id)
    record(settings, statement(operation_id, told))


def calls(settings):
    with connect(settings) as connection:
        return [call for call in list_calls(connection) if call.id > _before]


def announced(settings):
    return [call.action.operation for call in calls(settings)]


def logged(vault, principal, since):
    """(operation, request id) of the principal's lines, as the vault wrote them."""
    return [
        (line["operationName"], line["correlationId"])
        for line in vault.audit()
        if line["identity"].get("claim", {}).get("appid") == vault.client_id(principal)
        and datetime.fromisoformat(line["time"]) >= since
    ]
