"""What an audit comes to: a verdict on each check and on the whole, and what is new since the last one."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue

from steward.keys.audit_access import check_access
from steward.keys.audit_backups import check_backups
from steward.keys.audit_facts import Facts, Sources, Unread
from steward.keys.audit_figures import figures
from steward.keys.audit_findings import Finding, unread
from steward.keys.audit_keyring import check_keyring, check_wraps
from steward.keys.audit_policy import KeyPolicy
from steward.keys.audit_principals import check_assignments, check_log
from steward.keys.audit_vault import check_vault
from steward.verdicts import NotVerified, Verdict, combine

F = TypeVar("F", bound=Facts)
_MOST_TOLD = 5

VAULT, KEYRING, WRAPS = "keys and secrets of the vault", "generations and readers", "wraps under the vault's versions"
DATABASE, ROLES = "rights in the keyring's database", "roles at the vault"
#: These two only where the policy has a table for them.
USE, BACKUPS = "use of the vault", "backups of the keyring"


class Check(BaseModel):
    """One check: made or not, and what came of it."""

    model_config = ConfigDict(frozen=True)

    name: str
    verdict: Verdict | None
    """None: the policy does not ask for it."""
    findings: int = 0


class AuditReport(BaseModel):
    """The audit as a whole."""

    model_config = ConfigDict(frozen=True)

    subject: str
    period: str
    attempt: int
    verdict: Verdict
    checks: tuple[Check, ...]
    not_asked: tuple[str, ...]
    """Checks that the policy leaves out."""
    findings: tuple[Finding, ...]
    new: tuple[str, ...]
    """Ids of findings that the last audit did not have; all of them where there was none."""
    gone: tuple[str, ...]
    """Ids of the last audit's findings that are no more."""
    compared_with: str | None
    """Digest of the last audit's statement."""
    figures: dict[str, JsonValue]
    started_at: datetime
    ended_at: datetime


class KeysNotAsPolicy(NotVerified):
    """The audit ran to its end, and something is not as the policy says, or could not be seen."""

    def __init__(self, report: AuditReport) -> None:
        told = [str(each) for each in report.findings]
        more = [f"and {len(told) - _MOST_TOLD} more"] if len(told) > _MOST_TOLD else []
        super().__init__(
            "\n  ".join([f"audit of {report.subject}: {report.verdict}", *told[:_MOST_TOLD], *more]),
            hint="the artifact key-audit has each with its hint; docs/runbooks/audit-keys.md says what to do first",
            verdict=report.verdict,
            report=report,
        )


class AuditBegun(BaseModel):
    """What an audit is held against, and when it began."""

    model_config = ConfigDict(frozen=True)

    policy: KeyPolicy
    started_at: datetime


class Before(BaseModel):
    """The last audit's statement, and the ids of its findings."""

    model_config = ConfigDict(frozen=True)

    digest: str | None = None
    ids: tuple[str, ...] = ()


class Occurrence(NamedTuple):
    """Which audit it is, as the ledger names it."""

    subject: str
    period: str
    attempt: int


@dataclass(frozen=True)
class Judgement:
    """What the sources come to, before it is compared with the last audit."""

    checks: tuple[Check, ...]
    not_asked: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """VERIFIED only if every check was made, and none found anything."""
        return combine(check.verdict for check in self.checks if check.verdict)


def judge(policy: KeyPolicy, read: Sources, now: datetime) -> Judgement:
    """Every check that the policy asks for, on what was read; a source that was not read leaves its checks UNKNOWN."""
    made = [
        _made(VAULT, read.vault, lambda facts: check_vault(policy, facts)),
        _made(KEYRING, read.keyring, lambda facts: check_keyring(policy, facts)),
        _wraps(policy, read),
        _made(DATABASE, read.access, lambda facts: check_access(policy, facts)),
        _made(ROLES, read.assignments, lambda facts: check_assignments(policy, facts, now)),
        _made(USE, read.log, lambda facts: check_log(policy, facts, now)),
        _made(BACKUPS, read.backups, lambda facts: check_backups(policy, facts, now)),
    ]
    return Judgement(
        checks=tuple(check for check, _ in made if check.verdict),
        not_asked=tuple(check.name for check, _ in made if not check.verdict),
        findings=tuple(each for _, found in made for each in found),
    )


def _made(
    name: str, read: F | Unread | None, look: Callable[[F], Sequence[Finding]]
) -> tuple[Check, Sequence[Finding]]:
    if read is None:
        return Check(name=name, verdict=None), ()
    found = [unread(read)] if isinstance(read, Unread) else look(read)
    verdict = combine(each.verdict for each in found) if found else Verdict.VERIFIED
    return Check(name=name, verdict=verdict, findings=len(found)), found


def _wraps(policy: KeyPolicy, read: Sources) -> tuple[Check, Sequence[Finding]]:
    if isinstance(read.vault, Unread) or isinstance(read.keyring, Unread):
        # The source that is away has its finding already.
        return Check(name=WRAPS, verdict=Verdict.UNKNOWN), ()
    vault = read.vault
    return _made(WRAPS, read.keyring, lambda facts: check_wraps(policy, facts, vault))


def compare(found: Sequence[Finding], before: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids that are new, and ids that are gone, since the audit whose findings were *before*."""
    now = [each.id for each in found]
    return tuple(dict.fromkeys(each for each in now if each not in before)), tuple(sorted(set(before) - set(now)))


def assemble(begun: AuditBegun, read: Sources, before: Before, now: datetime, which: Occurrence) -> AuditReport:
    """The report on what was *read*, beside the audit *before* it."""
    judged = judge(begun.policy, read, begun.started_at)
    new, gone = compare(judged.findings, before.ids)
    return AuditReport(
        **which._asdict(),
        verdict=judged.verdict,
        checks=judged.checks,
        not_asked=judged.not_asked,
        findings=judged.findings,
        new=new,
        gone=gone,
        compared_with=before.digest,
        figures=figures(begun.policy, read),
        started_at=begun.started_at,
        ended_at=now,
    )
