"""What an audit saw, for its statement: names and counts, and null where it was not read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from pydantic import JsonValue

from steward.keys.audit_facts import (
    AccessFacts,
    Facts,
    Key,
    KeyringFacts,
    LogFacts,
    Sources,
    Unread,
    VaultFacts,
    Version,
)
from steward.keys.audit_policy import KeyPolicy
from steward.keys.audit_principals import principal_of

F = TypeVar("F", bound=Facts)


def figures(policy: KeyPolicy, read: Sources) -> dict[str, JsonValue]:
    """What was seen, for the statement: names and counts, null where it was not read."""
    return {
        **_vault_figures(read.vault),
        **_keyring_figures(read.keyring),
        **_access_figures(read.access),
        "role_assignments": _told(
            read.assignments,
            lambda facts: [
                f"{_name(policy, one.principal_id)}: {one.role} at {one.scope}" for one in facts.assignments
            ],
        ),
        "vault_log_lines": _told(read.log, lambda facts: facts.lines),
        "uses_of_the_vault": _told(read.log, lambda facts: _uses(policy, facts)),
        "backup_retention_days": _told(read.backups, lambda facts: facts.retention_days),
        "backups": _told(read.backups, lambda facts: facts.backups),
        "oldest_backup": _told(read.backups, lambda facts: _moment(facts.oldest_at)),
        "newest_backup": _told(read.backups, lambda facts: _moment(facts.newest_at)),
        "erasures_overdue": _told(read.backups, lambda facts: list(facts.erasures_overdue)),
    }


def _vault_figures(read: VaultFacts | Unread) -> dict[str, JsonValue]:
    return {
        "keys": _told(read, lambda facts: [_key(key) for key in facts.listed_keys]),
        "secrets": _told(
            read,
            lambda facts: [
                {"name": each.name, "versions": len(each.versions), "newest": _version(each.versions[0])}
                for each in facts.secrets
            ],
        ),
    }


def _keyring_figures(read: KeyringFacts | Unread) -> dict[str, JsonValue]:
    return {
        "tenants": _told(read, lambda facts: facts.tenants),
        "tenants_erased": _told(read, lambda facts: facts.erased),
        "epoch": _told(read, lambda facts: facts.epoch),
        "generations": _told(
            read,
            lambda facts: {
                each.state: {"count": each.generations, "oldest": _moment(each.oldest_at)} for each in facts.states
            },
        ),
        "wraps": _told(read, lambda facts: {each.kek: each.wraps for each in facts.wraps}),
        "not_under_newest": _told(read, lambda facts: facts.not_under_newest.total),
        "readers": _told(read, lambda facts: facts.readers),
        "readers_silent": _told(read, lambda facts: facts.silent_readers),
        "readers_lagging": _told(read, lambda facts: len(facts.lagging)),
    }


def _access_figures(read: AccessFacts | Unread) -> dict[str, JsonValue]:
    return {
        "keyring_revision": _told(read, lambda facts: facts.revision),
        "superusers": _told(read, lambda facts: list(facts.superusers)),
        "database_members": _told(read, lambda facts: list(facts.members)),
        "database_grants": _told(read, lambda facts: [str(grant) for grant in facts.grants]),
        "database_reach": _told(
            read, lambda facts: {each.role: "writes" if each.writes else "reads" for each in facts.reach}
        ),
    }


def _told(read: F | Unread | None, tell: Callable[[F], JsonValue]) -> JsonValue:
    return None if read is None or isinstance(read, Unread) else tell(read)


def _key(key: Key) -> JsonValue:
    return {
        "name": key.name,
        "kind": f"{key.shape.type} {key.shape.size}" if key.shape else None,
        "operations": list(key.shape.operations) if key.shape else None,
        "rotates_itself": key.rotates_itself,
        "versions": [_version(each) for each in key.versions],
    }


def _version(version: Version) -> JsonValue:
    return {
        "version": version.version,
        "enabled": version.enabled,
        "created": _moment(version.created_at),
        "expires": _moment(version.expires_at),
        "tags": dict(version.tags),
    }


def _uses(policy: KeyPolicy, facts: LogFacts) -> JsonValue:
    rows: list[JsonValue] = []
    for use in facts.uses:
        principal = principal_of(policy, use)
        who = principal.name if principal else " ".join(use.principals)
        rows.append({"principal": who, "operation": use.operation, "allowed": use.allowed, "refused": use.refused})
    return rows


def _name(policy: KeyPolicy, object_id: str) -> str:
    return next((each.name for each in policy.principal if each.object_id == object_id), object_id)


def _moment(at: datetime | None) -> str | None:
    return at.isoformat(timespec="seconds") if at else None
