"""A rotation on one machine: every key of 200 tenants and of the vault replaced, while their application is used.

What an operator does, by the same ways: migrate, deploy, enrol; then the customers and the users of the application;
then one run of the deployment `monthly-key-rotation`. What it says of itself is its certificate; what the users saw,
what their acknowledged writes have become, and what evidence and vault have on record is looked at apart from it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect.client.schemas.objects import FlowRun

from demo.acts import closing, prepare, read_certificate, run, say, timed, verdict_in
from demo.commands import CommandFailed
from demo.customers.checking import Checked, check_writes
from demo.customers.enrolment import tenant_names
from demo.customers.seeding import seed_customers
from demo.customers.traffic import Traffic, live_traffic
from demo.customers.users import steward_keys
from demo.stage import Stage
from steward.clients.keyring_rotation import open_rotating_keyring
from steward.enrolment import enrol
from steward.keys.golden import GOLDEN_TENANT
from steward.settings import VARIABLE
from steward.verdicts import Verdict

ROTATION = "monthly-key-rotation/monthly-key-rotation"
CERTIFICATE = "key-rotation"
#: By hand and not as the month's, which there is once a month: the demo may be played again.
REQUEST = {"reason": "offboarding", "because": "make demo-keys"}
#: The users are watched for so long before anything is rotated.
QUIET_SECONDS = 15
LOOK = "the run's artifacts in the UI; python -m steward.evidence list; docs/runbooks/monthly-key-rotation.md"


@dataclass(frozen=True)
class Watched:
    """What the users saw, before and during the rotation."""

    before: dict[str, Any]
    during: dict[str, Any]
    acknowledged: int
    checked: Checked

    @property
    def faultless(self) -> bool:
        """No request failed, and every acknowledged write is as it was acknowledged."""
        return not self.before["failed"] and not self.during["failed"] and self.checked.faultless


def play(stage: Stage, tenants: int, rows: int, rate: float, seconds: float) -> Verdict:
    """The whole of it. The rotation's verdict; REFUTED where anything else that was looked at says otherwise."""
    began = datetime.now(UTC)
    prepare(stage)
    names = fill(stage, tenants, rows)
    seen = checkpoint(stage)
    ended, watched = rotate_amid_traffic(stage, names, rate, seconds)
    certificate = read_certificate(stage, ended, CERTIFICATE)
    on_record = [verify_evidence(stage, seen), cover_calls(stage, began)]
    print(closing(stage, "\n".join([certificate.strip(), "", *told(watched), "", f"to look at: {LOOK}"])))
    return overall(verdict_in(certificate), [watched.faultless, *on_record])


def overall(certified: Verdict, seen: Iterable[bool]) -> Verdict:
    """The rotation's own verdict, unless it says VERIFIED and something that was *seen* apart from it says otherwise."""
    return Verdict.REFUTED if certified is Verdict.VERIFIED and not all(seen) else certified


def fill(stage: Stage, tenants: int, rows: int) -> list[str]:
    """Tenants with keys, and their customers; the names of those that have not been erased."""
    with timed(f"{tenants} tenants enrolled"):
        enrol(stage.settings, living(stage, [GOLDEN_TENANT, *tenant_names(tenants)]))
    with timed(f"{rows:,} customers there, three fields of each encrypted"):
        return seed_customers(stage.settings, tenants, rows)


def living(stage: Stage, names: list[str]) -> list[str]:
    """Those of *names* that may have keys."""
    _, keyring = steward_keys(stage.settings)
    with open_rotating_keyring(keyring, stage.settings.vault) as ring:
        erased = set(ring.erased())
    return [name for name in names if name not in erased]


def rotate_amid_traffic(stage: Stage, tenants: list[str], rate: float, seconds: float) -> tuple[FlowRun, Watched]:
    """One run of the deployment, whatever it ends as, and what the users make of it."""
    file, folder = Path(stage.shell.environment[VARIABLE]), stage.shell.logs / "demo-keys"
    with live_traffic(file, stage.settings, folder, tenants, rate=rate, seconds=seconds) as traffic:
        say(f"{len(tenants)} tenants' users ask {rate:g} times a second, one time in four to write ({folder})")
        time.sleep(QUIET_SECONDS)
        began = time.time()
        with timed("rotation ended"):
            ended = run(stage, ROTATION, {"request": REQUEST}, must_complete=False)
        until = time.time()
    return ended, watch(stage, traffic, began, until)


def watch(stage: Stage, traffic: Traffic, began: float, until: float) -> Watched:
    """Every acknowledged write is read back from the database, with keys of the application's."""
    with timed("acknowledged writes read back"):
        checked = check_writes(stage.settings, traffic.log)
    return Watched(
        traffic.summary(until=began), traffic.summary(began, until), traffic.acknowledged(began, until), checked
    )


def told(watched: Watched) -> Iterator[str]:
    """In lines."""
    for when, seen in (("before the rotation", watched.before), ("while it ran", watched.during)):
        times = seen["milliseconds"].get("all", {})
        took = ", ".join(f"{name} {times[name]:.1f} ms" for name in ("p50", "p95", "p99") if name in times)
        yield f"users {when}: {seen['requests']:,} requests, {seen['failed']:,} failed, {took}"
        yield from (f"  failed: {reason}: {count:,}" for reason, count in seen["failures"].items())
    checked = watched.checked
    yield (
        f"writes acknowledged while it ran: {watched.acknowledged:,}; of all {checked.acknowledged:,}, read back from "
        f"{checked.rows:,} rows: {len(checked.lost)} lost, {len(checked.unreadable)} unreadable, "
        f"{len(checked.unfound)} not found by their index"
    )


def checkpoint(stage: Stage) -> Path:
    """The evidence log's newest checkpoint, kept as an auditor would: what follows must be consistent with it."""
    kept = stage.shell.logs / "demo-checkpoint"
    lines = stage.shell.lines("checkpoint", sys.executable, "-m", "steward.evidence", "checkpoint")
    kept.write_text("".join(f"{line}\n" for line in lines))
    return kept


def verify_evidence(stage: Stage, seen: Path) -> bool:
    """Whether the whole log stands, from the checkpoint that was kept before."""
    return shown(stage, "evidence", "steward.evidence", "verify", "--checkpoint", str(seen))


def cover_calls(stage: Stage, since: datetime) -> bool:
    """Whether every operation on a key that the vault has logged since then is in the journal and under a statement."""
    log = stage.settings.audit.vault_log
    if log is None:
        say("vault: the settings name no log of it")
        return False
    options = ("--vault-log", str(log), "--since", since.isoformat())
    return shown(stage, "vault", "steward", "keys", "coverage", *options)


def shown(stage: Stage, what: str, module: str, *arguments: str) -> bool:
    """Show what the command prints; whether it succeeded."""
    # Of an earlier demo's nothing is to be shown as this one's last lines.
    stage.shell.log(what).unlink(missing_ok=True)
    try:
        for line in stage.shell.lines(what, sys.executable, "-m", module, *arguments):
            say(f"{what}: {line}")
    except CommandFailed as failed:
        say(f"{what}: {failed}")
        return False
    return True
