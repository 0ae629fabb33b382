"""`python -m steward keys coverage`: the vault's log beside the journal of calls and the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from steward.clients.key_calls import list_calls
from steward.clients.postgres import Connection, connect
from steward.errors import BadInput
from steward.evidence.envelopes import PAYLOAD_TYPE, verify
from steward.evidence.errors import SignatureRefused, UnusableEnvelope, UnusableStatement
from steward.evidence.signers import load_public_key
from steward.evidence.statements import parse_statement
from steward.evidence.store import list_statements
from steward.keys.calls import told_calls
from steward.keys.coverage import Coverage, Told, cover, in_words, require_complete
from steward.keys.vaultlog import Logged, read_vault_log
from steward.settings import Settings

if TYPE_CHECKING:
    from steward.evidence.signers import Key

_PAGE = 500


def check_coverage(settings: Settings, logs: Iterable[Path], principal: str | None, since: str | None) -> list[str]:
    """The command's lines. KeyOperationsUncovered names what is not accounted for; BadInput, what `measure` raises."""
    principal = principal or (settings.vault.client_id if settings.vault else None)
    if not principal:
        raise BadInput(
            "whose calls? the settings name no application that logs in to the vault",
            hint="give --principal: the id of the host's identity",
        )
    coverage = measure(settings, logs, principal, _moment(since) if since else None)
    require_complete(coverage)
    return in_words(coverage)


def measure(settings: Settings, logs: Iterable[Path], principal: str, since: datetime | None = None) -> Coverage:
    """How much of what *principal* did to keys, as *logs* tell, is in the journal and in the evidence.

    Raises VaultLogUnusable, NothingToCover; what the database raises.
    """
    # Read before the journal: a call that is logged while this reads is announced already, and the other way round it
    # would be missing.
    lines = [line for path in logs for line in _read(path)]
    with connect(settings) as connection:
        told = list(_statements(connection, load_public_key(settings.evidence.public_key)))
        key = settings.evidence.checkpoint_key
        return cover(lines, list_calls(connection), told, principal=principal, checkpoint_key=key, since=since)


def _read(path: Path) -> Iterator[Logged]:
    try:
        with path.open(encoding="utf-8") as lines:
            yield from read_vault_log(lines, str(path))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", hint="give the vault's log files") from None
    except UnicodeDecodeError:
        raise BadInput(f"{path} is not UTF-8 text", hint="give the vault's log files, unpacked") from None


def _statements(connection: Connection, key: Key) -> Iterator[Told]:
    before = None
    while rows := list_statements(connection, before=before, limit=_PAGE):
        before = rows[-1].id
        for row in rows:
            if told := _told(row.envelope, key):
                yield told


def _told(envelope: str, key: Key) -> Told | None:
    # What has no good signature speaks for nothing; that it lies there, `python -m steward.evidence verify` tells.
    try:
        signed = verify(envelope.encode(), key)
        calls = told_calls(parse_statement(signed.payload).figures) if signed.payload_type == PAYLOAD_TYPE else None
    except (SignatureRefused, UnusableEnvelope, UnusableStatement):
        return None
    return Told(signed.digest, calls) if calls else None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadInput(f"{text!r} is no time with a zone", hint="as in 2026-01-31T00:00:00Z")
    return moment
