"""Who may reach the vault, and who did, held against the policy's principals."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from steward.keys.audit_facts import AssignmentFacts, LogFacts, Use
from steward.keys.audit_findings import Finding, age, listed
from steward.keys.audit_policy import KeyPolicy, Principal, VaultLog
from steward.verdicts import Verdict


def check_assignments(policy: KeyPolicy, facts: AssignmentFacts, now: datetime) -> list[Finding]:
    """Findings on roles that were given beside the policy, or are lacking; UNKNOWN where the export is old."""
    old = now - facts.exported_at
    if old > timedelta(hours=policy.role_assignments.stale_hours):
        return [
            Finding(
                check="assignments-stale",
                subject="vault",
                seen=f"an export of {age(old)} ago",
                expected=f"at most {policy.role_assignments.stale_hours} hours",
                hint="export the role assignments again before each audit",
                verdict=Verdict.UNKNOWN,
            )
        ]
    return [*_extra(policy, facts), *_missing(policy, facts)]


def _extra(policy: KeyPolicy, facts: AssignmentFacts) -> Iterator[Finding]:
    known = {each.object_id: each for each in policy.principal}
    for one in facts.assignments:
        principal = known.get(one.principal_id)
        if principal is None:
            yield Finding(
                check="assignment-stranger",
                subject=f"{one.principal_id}/{one.role}",
                seen=f"{one.kind or 'a principal'} {one.principal} has {one.role} at {one.scope}",
                expected=f"only {listed(each.name for each in policy.principal)}",
                hint="az role assignment delete --assignee … --role … --scope …, or list the principal in the policy",
            )
        elif one.role not in principal.roles:
            yield Finding(
                check="assignment-extra",
                subject=f"{principal.name}/{one.role}",
                seen=f"it has {one.role} at {one.scope}",
                expected=listed(principal.roles),
                hint="az role assignment delete --assignee … --role … --scope …, or allow the role in the policy",
            )


def _missing(policy: KeyPolicy, facts: AssignmentFacts) -> Iterator[Finding]:
    there = {(one.principal_id, one.role) for one in facts.assignments}
    for principal in policy.principal:
        for role in principal.roles:
            if (principal.object_id, role) not in there:
                yield Finding(
                    check="assignment-missing",
                    subject=f"{principal.name}/{role}",
                    seen="no such assignment",
                    expected="the role that the policy gives",
                    hint="az role assignment create, or take the role out of the policy",
                )


def check_log(policy: KeyPolicy, facts: LogFacts, now: datetime) -> list[Finding]:
    """Findings on principals that the policy does not know, and on operations that it does not expect of them."""
    return [*_silent(policy.vault_log or VaultLog(), facts, now), *_uses(policy, facts)]


def _silent(rules: VaultLog, facts: LogFacts, now: datetime) -> Iterator[Finding]:
    if facts.newest_at is None or now - facts.newest_at > timedelta(hours=rules.silent_hours):
        yield Finding(
            check="log-silent",
            subject="vault",
            seen=f"its newest line is {age(now - facts.newest_at)} old" if facts.newest_at else "a log without a line",
            expected=f"at most {rules.silent_hours} hours: this audit itself asks the vault",
            hint="see the vault's diagnostic setting, and what brings the log here",
            verdict=Verdict.UNKNOWN,
        )


def _uses(policy: KeyPolicy, facts: LogFacts) -> Iterator[Finding]:
    for use in facts.uses:
        principal = principal_of(policy, use)
        told = f"{use.allowed} times allowed, {use.refused} times refused"
        if principal is None:
            yield Finding(
                check="log-stranger",
                subject=f"{' '.join(use.principals)}/{use.operation}",
                seen=told,
                expected=f"only {listed(each.name for each in policy.principal)}",
                hint="find out who it is; where it was allowed, what it asked for is known to it",
            )
        elif principal.operations and use.operation not in principal.operations:
            yield Finding(
                check="log-operation",
                subject=f"{principal.name}/{use.operation}",
                seen=told,
                expected=listed(principal.operations),
                hint="a new version of the application, or somebody else with its secret? then rotate that secret",
            )


def principal_of(policy: KeyPolicy, use: Use) -> Principal | None:
    """Whom the policy knows by the ids that the vault logged: all of them, so that no two are taken for one another."""
    for each in policy.principal:
        if set(use.principals) <= {each.object_id.lower(), each.client_id.lower()}:
            return each
    return None
