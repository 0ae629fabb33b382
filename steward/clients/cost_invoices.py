"""Providers' invoices under Object Lock, which no API of theirs tells: imported by a person, read by reconciliations.

`ai-costs/invoices/ACCOUNT/YYYY-MM/NNN.json`. A corrected invoice lies beside the first one; the highest number counts.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from hashlib import sha256

from steward.clients.s3 import LockedBucket, open_evidence_bucket
from steward.costs.kept import PREFIX, StoredObject
from steward.costs.period import Period
from steward.costs.statements.invoices import Invoice, InvoiceUnusable, read_invoice
from steward.costs.terms import load_terms
from steward.errors import BadInput
from steward.settings import Settings

_NUMBER = re.compile(r"(\d{3,})\.json")


def import_invoice(settings: Settings, account: str, month: str, body: bytes) -> StoredObject:
    """Keep *body* as *account*'s invoice of *month* (YYYY-MM), which from now on counts; one that is there is not kept twice.

    Raises BadInput, InvoiceUnusable, and what the bucket raises.
    """
    _require_account(settings, account)
    # PeriodInvalid, before a month becomes a part of an object's key.
    Period.of_month(month)
    read_invoice(body, account=account, provider=settings.providers[account].kind, month=month)
    _require_organization(settings, account, body)
    with open_evidence_bucket(settings) as objects:
        return _stored(settings, objects, _prefix(account, month), body)


def latest_invoice(
    objects: LockedBucket, account: str, provider: str, month: str
) -> tuple[Invoice, StoredObject] | None:
    """The one that counts; None: none was imported. Raises InvoiceUnusable where it is not what it was at its import."""
    kept = _kept(objects, _prefix(account, month))
    if not kept:
        return None
    _, key, version_id = kept[-1]
    body = objects.get(key, version_id).body
    stored = StoredObject(object_key=key, version_id=version_id, sha256=_digest(body))
    return read_invoice(body, account=account, provider=provider, month=month), stored


def _stored(settings: Settings, objects: LockedBucket, prefix: str, body: bytes) -> StoredObject:
    """Under the next number. The bucket decides which of two at the same time has it: the other goes on to the next."""
    kept = _kept(objects, prefix)
    for _, key, version_id in kept:
        if objects.get(key, version_id).body == body:
            return StoredObject(object_key=key, version_id=version_id, sha256=_digest(body))
    number = kept[-1][0] if kept else 0
    while True:
        number += 1
        key = f"{prefix}{number:03}.json"
        until = dt.datetime.now(dt.UTC) + dt.timedelta(days=settings.evidence.lock_days)
        there = objects.put_once(key, body, locked_until=until)
        if there.body == body:
            return StoredObject(object_key=key, version_id=there.version_id, sha256=_digest(body))


def _kept(objects: LockedBucket, prefix: str) -> list[tuple[int, str, str]]:
    """Number, key and version id of each, in order: what was written first, whatever somebody put over it since."""
    found = (
        (_NUMBER.fullmatch(key.removeprefix(prefix)), key, id_) for key, id_ in objects.first_versions(prefix).items()
    )
    return sorted((int(named[1]), key, version_id) for named, key, version_id in found if named)


def _require_account(settings: Settings, account: str) -> None:
    if account not in settings.providers:
        raise BadInput(
            f"no account {account!r}; known: {', '.join(sorted(settings.providers)) or 'none'}",
            hint="name it as its [providers.NAME] in the settings does",
        )


def _require_organization(settings: Settings, account: str, body: bytes) -> None:
    """Where the terms say whose account it is. Two accounts of one provider are told apart by nothing else."""
    wanted = load_terms(settings.reconciled.terms, settings.providers)[account].organization
    found = json.loads(body)["organization"]
    if wanted and found != wanted:
        raise InvoiceUnusable(
            f"the invoice is of organization {found}, and {account} is {wanted}",
            hint="import it under its own account, or mend the file of terms",
        )


def _prefix(account: str, month: str) -> str:
    return f"{PREFIX}invoices/{account}/{month}/"


def _digest(body: bytes) -> str:
    return sha256(body).hexdigest()
