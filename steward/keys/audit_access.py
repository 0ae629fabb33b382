"""Rights in the keyring's database, held against the policy; its rules, against what the migration lays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from steward.keys.audit_facts import AccessFacts, Grant
from steward.keys.audit_findings import Finding, listed
from steward.keys.audit_policy import DatabaseRules, KeyPolicy
from steward.keys.audit_rules import CONSTRAINTS, FUNCTIONS, GRANTS, REVISION, TRIGGERS
from steward.verdicts import Verdict


def check_access(policy: KeyPolicy, facts: AccessFacts) -> list[Finding]:
    """Findings on roles, owners and grants, and on functions, triggers and constraints that are not as they were laid."""
    found = [*_roles(policy.database, facts), *_owners(facts), *_strangers(policy.database, facts)]
    if facts.revision != REVISION:
        return [*found, _other_revision(facts.revision)]
    return [*found, *_grants(facts), *_rules(facts)]


def _roles(rules: DatabaseRules, facts: AccessFacts) -> Iterator[Finding]:
    for role in sorted(set(facts.superusers) - set(rules.superusers)):
        yield Finding(
            check="role-superuser",
            subject=role,
            seen="a role that no right binds",
            expected=listed(rules.superusers),
            hint=f"ALTER ROLE … NOSUPERUSER NOREPLICATION, or allow it in the policy's database.superusers: {role}",
        )
    for member in sorted(set(facts.members) - set(rules.members)):
        yield Finding(
            check="role-member",
            subject=member,
            seen="a membership in a role that reaches the keyring",
            expected=listed(rules.members),
            hint="REVOKE the membership, or allow it in the policy's database.members",
        )
    for reach in facts.reach:
        if reach.writes:
            yield Finding(
                check="role-writes",
                subject=reach.role,
                seen="it can change keys",
                expected=f"only {facts.owner}",
                hint="find its grant or membership below, and REVOKE it",
            )
        if reach.reads and reach.role not in rules.readers:
            yield Finding(
                check="role-reads",
                subject=reach.role,
                seen="it can read wrapped keys",
                expected=f"only {facts.owner} and {listed(rules.readers)}",
                hint="find its grant or membership, and REVOKE it; or allow it in the policy's database.readers",
            )


def _owners(facts: AccessFacts) -> Iterator[Finding]:
    for what, owner in facts.owners.items():
        if owner != facts.owner:
            yield Finding(
                check="owner",
                subject=what,
                seen=f"owned by {owner}",
                expected=facts.owner,
                hint="an owner may drop the triggers: ALTER … OWNER TO",
            )


def _strangers(rules: DatabaseRules, facts: AccessFacts) -> Iterator[Finding]:
    for what in facts.strangers:
        yield Finding(
            check="stranger",
            subject=what,
            seen="something that no migration of the keyring makes",
            expected="a database with the keyring in it and nothing else",
            hint="a view or a function may show or change keys for others: find who made it, and DROP it",
        )
    for what in sorted(set(facts.publications) - set(rules.publications)):
        yield Finding(
            check="publication",
            subject=what,
            seen="a way out for every change of the keyring",
            expected=listed(rules.publications),
            hint="DROP it, or allow it in the policy's database.publications",
        )


def _other_revision(revision: str) -> Finding:
    return Finding(
        check="schema-revision",
        subject="keyring",
        seen=f"revision {revision}: its grants and triggers cannot be compared",
        expected=f"revision {REVISION}",
        hint="run: python -m steward migrate, with the version of Steward that audits",
        verdict=Verdict.UNKNOWN,
    )


def _grants(facts: AccessFacts) -> Iterator[Finding]:
    there = {str(grant) for grant in facts.grants}
    laid = {str(Grant(object=what, grantee=whom, privilege=may)) for what, whom, may in GRANTS}
    for extra in sorted(there - laid):
        yield Finding(
            check="grant-extra",
            subject=extra,
            seen="a right that no migration gives",
            expected="no such right",
            hint="REVOKE it, and find who granted it",
        )
    for missing in sorted(laid - there):
        yield Finding(
            check="grant-missing",
            subject=missing,
            seen="no such right",
            expected="the right that the migration gives (docs/keyring.md)",
            hint="applications cannot load keys, or nobody hears of them: GRANT it again",
        )


def _rules(facts: AccessFacts) -> Iterator[Finding]:
    yield from _differences("function", FUNCTIONS, facts.functions)
    yield from _differences("trigger", TRIGGERS, facts.triggers)
    yield from _differences(
        "constraint", dict.fromkeys(CONSTRAINTS, "there"), dict.fromkeys(facts.constraints, "there")
    )


def _differences(kind: str, laid: Mapping[str, str], there: Mapping[str, str]) -> Iterator[Finding]:
    for name in sorted(laid.keys() | there.keys()):
        if laid.get(name) != there.get(name):
            yield Finding(
                check=f"{kind}-changed",
                subject=name,
                seen=there.get(name, "not there, or switched off"),
                expected=laid.get(name, "not there"),
                hint="the keyring's own rules are what keeps keys from being lost: lay it again as the migration does",
            )
