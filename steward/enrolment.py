"""Giving tenants their first key, with evidence: what a command or a seeding does once a tenant.

Every call of the vault is in the journal under the command's name, and a statement speaks for them. What an interrupted
enrolment has called is told by the next one of the same tenants.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from pydantic import JsonValue

from steward.clients.key_calls import summary_of_command
from steward.clients.keyring import open_keyring
from steward.clients.keyring_errors import possible
from steward.clients.keyvault_journal import open_journaled_vault
from steward.clients.postgres import connect
from steward.errors import BadInput, StewardError, is_transient
from steward.evidence.envelopes import open_envelope
from steward.evidence.statements import Statement, artifact_of, parse_statement
from steward.evidence.store import list_statements, record
from steward.fieldcrypt.keyring import WrappedKeys
from steward.keys.calls import Note, told_calls
from steward.settings import Keyring, Settings, Vault
from steward.verdicts import Verdict

OPERATION = "enrol-tenant"

_log = logging.getLogger(__name__)


def enrol(settings: Settings, tenants: Sequence[str]) -> list[WrappedKeys]:
    """Give each of *tenants* its first generation, or find that it has one; harmless twice.

    Raises BadInput without keyring or vault, and what the clients of both, the journal and the evidence raise: the same
    again is what to do about it. What failed is in a statement too, where the vault was asked.
    """
    keyring, vault = _required(settings)
    enrolled, started = list[WrappedKeys](), datetime.now(UTC)
    subject = subject_of([possible(tenant) for tenant in tenants])
    note = Note("enrol a tenant" if len(tenants) == 1 else "enrol tenants", command=f"{OPERATION}/{subject}")
    try:
        with open_journaled_vault(settings, note) as asked, open_keyring(keyring, vault) as ring:
            enrolled.extend(ring.enrol(tenant, asked) for tenant in tenants)
    except StewardError as failure:
        _tell_failure(settings, subject, enrolled, started, failure)
        raise
    _tell(settings, subject, enrolled, started)
    return enrolled


def subject_of(tenants: Sequence[str]) -> str:
    """One tenant's name; of several, how many and which, so that the same again has the same name."""
    if len(tenants) == 1:
        return tenants[0]
    named = hashlib.sha256("\0".join(sorted(tenants)).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{len(tenants)} tenants {named[:16]}"


def _required(settings: Settings) -> tuple[Keyring, Vault]:
    if settings.keyring is None or settings.vault is None:
        raise BadInput(
            "the settings name no keyring, or no vault", hint="add [keyring] and [vault]; see docs/keyring.md"
        )
    return settings.keyring, settings.vault


def _tell_failure(
    settings: Settings, subject: str, enrolled: list[WrappedKeys], started: datetime, failure: StewardError
) -> None:
    try:
        _tell(settings, subject, enrolled, started, failure)
    except StewardError as untold:
        # The failure itself is what the caller must hear; the same again tells of these calls too.
        _log.warning("no statement about the calls of a failed enrolment: %s", untold.message)


def _tell(
    settings: Settings,
    subject: str,
    enrolled: list[WrappedKeys],
    started: datetime,
    failure: StewardError | None = None,
) -> None:
    """Record a statement, unless one speaks for all that the vault was asked already."""
    with connect(settings) as connection:
        calls = summary_of_command(connection, f"{OPERATION}/{subject}")
        earlier = list_statements(connection, OPERATION, subject=subject, limit=1)
    if any(_speaks_for(row.envelope, calls) for row in earlier) or not calls["count"]:
        return
    record(settings, _statement(subject, enrolled, started, calls, failure))


def _speaks_for(envelope: str, calls: dict[str, JsonValue]) -> bool:
    return told_calls(parse_statement(open_envelope(envelope.encode()).payload).figures) == calls


def _statement(
    subject: str,
    enrolled: list[WrappedKeys],
    started: datetime,
    calls: dict[str, JsonValue],
    failure: StewardError | None,
) -> Statement:
    verdict = Verdict.VERIFIED
    if failure:
        verdict = Verdict.UNKNOWN if is_transient(failure) else Verdict.REFUTED
    return Statement(
        operation=OPERATION,
        subject=subject,
        period=started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        attempt=1,
        verdict=verdict,
        claim="each tenant has a key, wrapped under the vault's and committed; a new one was unwrapped before",
        artifacts=(artifact_of("generations", {keys.tenant: _generations(keys) for keys in enrolled}),),
        figures={"tenants": len(enrolled), "key_calls": calls},
        findings=(failure.message,) if failure else (),
        started=started,
        finished=datetime.now(UTC),
    )


def _generations(keys: WrappedKeys) -> list[dict[str, object]]:
    return [
        {"key_id": one.key_id, "number": one.number, "state": one.state.value, "keks": [w.kek for w in one.wraps]}
        for one in keys.generations
    ]
