"""`python -m steward keyring retire | reinstate TENANT KEY_ID`: one old key disabled by hand, or read by again.

What a rotation does for every key it has proved to be unused; `retire` is for one that a rotation had to keep, once what
kept it is gone. Nothing is disabled by anybody's word: every application's values are counted first, after whoever may
still write under the key has been waited for. `reinstate` is for a key under which something turns up in its grace: the
next rotation would take it back too, and moves what is under it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

from steward.clients.encrypted_rows import EncryptedRows, open_rows
from steward.clients.encrypted_tables import find_faults
from steward.clients.key_calls import summary
from steward.clients.keyring import KeyringClient, open_keyring
from steward.clients.postgres import application_database, connect
from steward.errors import BadInput
from steward.evidence.statements import Statement, artifact_of
from steward.evidence.store import record
from steward.fieldcrypt.keyring import State, WrappedKeys
from steward.keys.columns import load_columns
from steward.keys.errors import ColumnsUnusable, KeyInUse, ReadersLag
from steward.operations import claims
from steward.operations.claims import Identity, Operation, Terms
from steward.operations.holding import guard, holding
from steward.operations.ledger import Ledger
from steward.settings import Settings
from steward.verdicts import Verdict

RETIRING, REINSTATING = "retire-key", "reinstate-key"
#: For transactions that were writing when this was asked: an application's take milliseconds.
WAIT_SECONDS = 30.0
_POLL_SECONDS = 0.1


def retire(settings: Settings, tenant: str, key_id: int) -> WrappedKeys:
    """Disable previous key *key_id* of *tenant*; its keys afterwards. Harmless twice. With a statement as evidence.

    Raises KeyInUse with the tables and how many of their values are under it, or where writers use the key; ReadersLag
    where a process or a transaction may still write under it; BadInput for what is not there; Held while a rotation is at
    work; and what the servers' clients raise.
    """
    if not settings.applications:
        raise BadInput(
            "the settings name no application: what is under a key cannot be counted",
            hint="add [applications.NAME] for every database that has encrypted columns",
        )

    def disable(keyring: KeyringClient) -> WrappedKeys:
        _require_unused(settings, keyring, tenant, key_id)
        guard()
        return keyring.retire(tenant, key_id)

    claim = "no value of any application was under the key when it was disabled"
    return _by_hand(settings, Identity(RETIRING, f"{tenant}/{key_id}", resource="keyring"), claim, disable)


def reinstate(settings: Settings, tenant: str, key_id: int) -> WrappedKeys:
    """Let disabled key *key_id* of *tenant* be read again; its keys afterwards. Harmless twice. With a statement.

    Raises BadInput for what is not there or was destroyed, KeyringRefused for a key that is in use, and Held.
    """
    claim = "the disabled key can be read by again"
    identity = Identity(REINSTATING, f"{tenant}/{key_id}", resource="keyring")
    return _by_hand(settings, identity, claim, lambda keyring: keyring.reinstate(tenant, key_id))


def _by_hand(
    settings: Settings, identity: Identity, claim: str, change: Callable[[KeyringClient], WrappedKeys]
) -> WrappedKeys:
    """One change of one key, while nothing else changes keys, and its statement."""
    started = datetime.now(UTC)
    identity = replace(identity, period=started.isoformat())
    tenant, _, key_id = identity.subject.rpartition("/")
    with _keyring(settings) as keyring, closing(Ledger(settings)) as book:
        # Before anything is entered anywhere.
        _require_movable(keyring.load(tenant), int(key_id), identity.name)
        held = claims.claim(book, identity, terms=Terms(wait_seconds=0))
        try:
            with holding(book, held):
                kept = change(keyring)
                _record(settings, held, claim, kept, started)
        except BaseException as failure:
            claims.fail(book, held, f"{type(failure).__name__}: {failure}")
            raise
        claims.conclude(book, held, Verdict.VERIFIED, None, None)
    return kept


def _keyring(settings: Settings) -> KeyringClient:
    if settings.keyring is None:
        raise BadInput("the settings name no keyring", hint="add [keyring]; see docs/keyring.md")
    return open_keyring(settings.keyring, settings.vault)


def _require_movable(kept: WrappedKeys, key_id: int, operation: str) -> None:
    state = next((each.state for each in kept.generations if each.key_id == key_id), None)
    if state is None:
        known = ", ".join(f"{each.key_id} ({each.state})" for each in kept.generations)
        raise BadInput(f"tenant {kept.tenant!r} has no key {key_id}; it has {known}", hint="name one of these")
    if operation == RETIRING and state in {State.CURRENT, State.INCOMING}:
        raise KeyInUse(
            f"key {key_id} of tenant {kept.tenant!r} is {state}: writers use it, or are about to",
            hint="rotate the tenant's keys: run monthly-key-rotation for it, with your reason",
        )
    if state is State.DESTROYED:
        raise BadInput(f"key {key_id} of tenant {kept.tenant!r} was destroyed", hint="there is nothing left of it")


def _require_unused(settings: Settings, keyring: KeyringClient, tenant: str, key_id: int) -> None:
    """First whoever may still write under it, then what is there: in this order nothing comes after the count."""
    if behind := keyring.lagging(keyring.epoch()):
        named = ", ".join(f"{one.host} pid {one.pid}" for one in behind[:5])
        raise ReadersLag(
            f"{len(behind)} processes have not taken up the keyring's latest change: {named}",
            hint="in a few seconds they have; see whether they reach the keyring, or end them",
        )
    used = {where: count for name in sorted(settings.applications) for where, count in _values(settings, name, key_id)}
    if used:
        raise KeyInUse(
            f"key {key_id} of tenant {tenant!r} is in use: {_counted(used)}",
            hint="run monthly-key-rotation for this tenant: it moves what is whole, and names what is damaged",
        )


def _values(settings: Settings, application: str, key_id: int) -> Iterator[tuple[str, int]]:
    """(application's table, how many of its values are under the key), where there are any."""
    database, columns = (
        application_database(settings, application),
        load_columns(settings.applications[application].encrypted),
    )
    with connect(database) as connection:
        if faults := find_faults(connection, columns):
            raise ColumnsUnusable(
                f"application {application} is not as its file of encrypted columns says: {'; '.join(faults)}",
                hint="mend the file or the database's grants: what is not seen is not counted",
            )
    with open_rows(database) as rows:
        _outwait_transactions(rows, application)
        rows.flush()
        for table in columns.tables:
            if count := rows.key_ids(table)[key_id]:
                yield f"{application}'s {table.where}", count


def _outwait_transactions(rows: EncryptedRows, application: str) -> None:
    now, give_up = rows.next_transaction(), time.monotonic() + WAIT_SECONDS
    while (oldest := rows.oldest_transaction()) <= now:
        if time.monotonic() > give_up:
            raise ReadersLag(
                f"transaction {oldest} of {application} is still open after {WAIT_SECONDS:g} s: what it writes is not "
                "counted yet",
                hint="see pg_stat_activity for sessions with an old xact_start",
            )
        time.sleep(_POLL_SECONDS)


def _counted(used: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} values of {where}" for where, count in used.items())


def _record(settings: Settings, held: Operation, claim: str, kept: WrappedKeys, started: datetime) -> None:
    with connect(settings) as connection:
        calls = summary(connection, held.id)
    states = {str(each.key_id): each.state.value for each in kept.generations}
    record(
        settings,
        Statement(
            operation=held.name,
            subject=held.subject,
            period=held.period,
            attempt=held.attempt,
            verdict=Verdict.VERIFIED,
            claim=claim,
            artifacts=(artifact_of("generations", states),),
            figures={
                "applications": ", ".join(sorted(settings.applications)),
                "key_calls": dict(calls),
            },
            started=started,
            finished=datetime.now(UTC),
        ),
    )
