"""Audit of the keys: who may do what, how old everything is, what expires, and what is not as the policy says.

Failure semantics: it reads and changes nothing. Something that is not as the policy says ends the run Failed with verdict
REFUTED, whatever could not be read beside it; a source that could not be read after its retries ends it Failed with
verdict UNKNOWN, and the other sources are looked at all the same. The evidence has every finding, and which of them are
new since the last audit. Killed anywhere, a new run goes on with what was read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from prefect import flow
from prefect.logging import get_run_logger
from prefect.runtime import flow_run

from steward.errors import StewardError
from steward.keys.audit_facts import Facts, Sources, Unread
from steward.keys.audit_report import AuditBegun, AuditReport, KeysNotAsPolicy
from steward.operations.claims import Terms
from steward.verdicts import Verdict
from tasks.auditing import (
    begin_audit,
    keep_judgement,
    publish_audit,
    read_access_facts,
    read_assignment_facts,
    read_backup_facts,
    read_keyring_facts,
    read_log_facts,
    read_vault_facts,
    record_audit,
)
from tasks.durable import durable

F = TypeVar("F", bound=Facts)


def period_of(start: datetime) -> str:
    """A tick of the schedule by its minute, as the watch names it; an audit that a person asks for by its moment."""
    on_the_minute = start.second == start.microsecond == 0
    return start.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ" if on_the_minute else "%Y-%m-%dT%H:%M:%S.%fZ")


def _occurrence() -> str:
    return period_of(flow_run.get_scheduled_start_time())


@flow(name="audit-keys", flow_run_name="audit keys", persist_result=False)
@durable(subject="keyring", period=_occurrence, terms=Terms(deadline_seconds=1800))
def audit_keys() -> AuditReport:
    """Read vault, keyring, rights, roles and logs, and hold them against the policy."""
    begun = begin_audit()
    read = read_sources(begun)
    report = keep_judgement(begun, read)
    record_audit(begun, read, report)
    publish_audit(report)
    if report.verdict is not Verdict.VERIFIED:
        raise KeysNotAsPolicy(report)
    return report


def read_sources(begun: AuditBegun) -> Sources:
    """Every source that the policy asks for. One that is away leaves the others to be read."""
    policy, at = begun.policy, begun.started_at
    vault = _tried("vault", lambda: read_vault_facts(policy))
    newest = "" if isinstance(vault, Unread) else vault.newest_kek_name
    return Sources(
        vault=vault,
        keyring=_tried("keyring", lambda: read_keyring_facts(policy, newest)),
        access=_tried("rights in the keyring's database", read_access_facts),
        assignments=_tried("role assignments", read_assignment_facts),
        log=_tried("the vault's log", lambda: read_log_facts(rules, at)) if (rules := policy.vault_log) else None,
        backups=_tried("backups", lambda: read_backup_facts(kept, at)) if (kept := policy.backups) else None,
    )


def _tried(source: str, read: Callable[[], F]) -> F | Unread:
    try:
        return read()
    except StewardError as error:
        get_run_logger().warning("%s could not be read: %s", source, error.message)
        return Unread(source=source, reason=error.message, hint=error.hint)
