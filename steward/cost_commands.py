"""`python -m steward costs …`: invoices that a person imports, days recomputed for an auditor, stops that a person lifts."""

from __future__ import annotations

import argparse

from steward.clients.cost_explaining import recompute
from steward.clients.cost_invoices import import_invoice
from steward.clients.cost_stops import lift_stop, stops_in_force
from steward.clients.postgres import connect
from steward.errors import BadInput, StewardError
from steward.settings import Settings


class DaysDiffer(StewardError):
    """What was stored of a day is not what its pages and hours come to."""


def keep_invoice(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """The same file twice is one invoice; another one counts from now on."""
    try:
        body = chosen.file.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read {chosen.file}: {error.strerror}", hint="name the file that was exported") from None
    stored = import_invoice(settings, chosen.account, chosen.month, body)
    return [
        f"the invoice of {chosen.account} for {chosen.month} that counts: {stored.object_key}",
        f"  SHA-256 {stored.sha256}, version {stored.version_id}",
    ]


def recompute_days(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """DaysDiffer where any of them is not the same, byte by byte."""
    found = recompute(settings, chosen.account, chosen.first, chosen.last)
    if not found:
        raise BadInput(
            f"no day of {chosen.account} from {chosen.first} to {chosen.last} is known",
            hint="see steward.cost_days; days that are UNKNOWN have nothing to compare",
        )
    differing = [f"{each.day.day} {each.day.reading}: {each.differs}" for each in found if each.differs]
    if differing:
        raise DaysDiffer(
            f"{len(differing)} of {len(found)} readings differ: {'; '.join(differing)}",
            hint="other prices, terms or registered keys than then are no damage; ledger, billed or charges that differ are",
        )
    return [f"{each.day.day} {each.day.reading}: the same, {each.day.verdict}" for each in found]


def show_stops(settings: Settings, _chosen: argparse.Namespace) -> list[str]:
    """Changes nothing."""
    with connect(settings) as db:
        stops = stops_in_force(db)
    return [f"{each.budget}: {each.scope} {each.subject} is stopped" for each in stops] or ["no budget stops anything"]


def lift(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """Until the month ends; recorded with who and why."""
    with connect(settings) as db:
        stop = lift_stop(db, chosen.budget, chosen.because)
    return [f"{stop.budget} is lifted until the month ends: {stop.scope} {stop.subject} is served again in ten seconds"]
