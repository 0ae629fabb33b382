"""The steps of an audit of the keys: each reads one source, and none changes anything but the record of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.resources import as_file, files

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.events import emit_event

from steward.clients.backups_audit import read_backups
from steward.clients.key_calls import summary
from steward.clients.keyring_audit import read_keyring
from steward.clients.keyring_rights import read_rights
from steward.clients.postgres import connect
from steward.clients.vault_audit import read_vault
from steward.errors import BadInput
from steward.evidence.store import EvidenceRef, record
from steward.keys.audit_facts import (
    AccessFacts,
    AssignmentFacts,
    BackupFacts,
    KeyringFacts,
    LogFacts,
    Sources,
    VaultFacts,
)
from steward.keys.audit_policy import Backups, KeyPolicy, VaultLog, load_policy
from steward.keys.audit_report import AuditBegun, AuditReport, Occurrence, assemble
from steward.keys.audit_sources import read_assignments, read_log
from steward.keys.audit_summary import findings_table, render_audit
from steward.keys.calls import Note
from steward.operations.steps import Kind
from steward.settings import Keyring, Settings, Vault, load
from tasks.audit_evidence import audit_statement, last_audit
from tasks.durable import operation, step


@step("begin audit")
def begin_audit() -> AuditBegun:
    """When, and against which policy. BadInput where the settings name no keyring or vault, or the policy is unusable."""
    settings = load()
    _keyring(settings)
    named = settings.audit.policy
    if named:
        return AuditBegun(policy=load_policy(named), started_at=datetime.now(UTC))
    with as_file(files("deployments") / "keys" / "policy.toml") as shipped:
        return AuditBegun(policy=load_policy(shipped), started_at=datetime.now(UTC))


@step("read vault")
def read_vault_facts(policy: KeyPolicy) -> VaultFacts:
    """What the vault lists of keys and secrets; never a secret's value."""
    settings = load()
    keyring, vault = _keyring(settings)
    journal = settings, Note("audit keys and secrets", operation().id)
    return read_vault(vault, keyring.kek, [rule.name for rule in policy.key], journal)


@step("read keyring")
def read_keyring_facts(policy: KeyPolicy, newest_kek: str) -> KeyringFacts:
    """The keyring's rows at one moment; which generations lack *newest_kek*, `NAME/VERSION`, where it is known."""
    keyring, vault = _keyring(load())
    return read_keyring(keyring, vault, policy, newest_kek)


@step("read rights in the keyring's database")
def read_access_facts() -> AccessFacts:
    """Who may do what there, and whether its own rules stand."""
    return read_rights(*_keyring(load()))


@step("read role assignments")
def read_assignment_facts() -> AssignmentFacts:
    """The exported list that the settings name."""
    return read_assignments(load().audit.role_assignments)


@step("read the vault's log")
def read_log_facts(rules: VaultLog, started_at: datetime) -> LogFacts:
    """Who did what in the vault, as far back as the policy says."""
    return read_log(load().audit.vault_log, started_at - timedelta(days=rules.days))


@step("read backups and erasures")
def read_backup_facts(rules: Backups, started_at: datetime) -> BackupFacts:
    """The backups that are there, and whether all that was erased is."""
    return read_backups(load(), started_at)


@step("judge", kind=Kind.CLOSING)
def keep_judgement(begun: AuditBegun, read: Sources) -> AuditReport:
    """Every check on what was read, and what is new since the last audit. Kept, so that its evidence says the same."""
    held = operation()
    with connect(load()) as db:
        before = last_audit(db, held)
    which = Occurrence(held.subject, held.period, held.attempt)
    return assemble(begun, read, before, datetime.now(UTC), which)


@step("record evidence", run_name="record evidence of {report.period}", kind=Kind.CLOSING)
def record_audit(begun: AuditBegun, read: Sources, report: AuditReport) -> EvidenceRef:
    """Sign the audit's statement and keep it; the same report again changes nothing."""
    settings = load()
    with connect(settings) as db:
        calls = summary(db, operation().id)
    return record(settings, audit_statement(begun, read, report, dict(calls)))


@step("publish", kind=Kind.CLOSING)
def publish_audit(report: AuditReport) -> None:
    """The report for people, an event for machines. Twice is harmless: artifacts are versions under one key."""
    told = f"{report.period}: {report.verdict}, {len(report.new)} new findings"
    create_markdown_artifact(render_audit(report), key="key-audit", description=told)
    if report.findings:
        create_table_artifact(findings_table(report), key="key-audit-findings", description=told)
    emit_event(
        event=f"steward.audit.{report.verdict.lower()}",
        resource={"prefect.resource.id": f"steward.audit.{report.subject}"},
        payload={
            "period": report.period,
            "verdict": report.verdict.value,
            "findings": len(report.findings),
            "new": list(report.new),
            "gone": list(report.gone),
        },
    )


def _keyring(settings: Settings) -> tuple[Keyring, Vault]:
    if settings.keyring is None or settings.vault is None:
        raise BadInput(
            "the settings name no keyring, or no vault: there is nothing to audit",
            hint="add [keyring] and [vault]; see docs/settings.md",
        )
    return settings.keyring, settings.vault
