"""What speaks against a commit's dependencies and sources: known vulnerabilities, dangerous code, secrets; and what is accepted of it.

An acceptance has a reason and, for a vulnerability, a day after which it counts for nothing. What could not be checked is
UNKNOWN: a package that nobody asked about, a file that could not be read, sources without a file.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from steward.pipeline.manifest import AcceptedSecret, AcceptedVulnerability
from steward.pipeline.security_found import Audit, Locked, Rules, Scan
from steward.pipeline.stage import StageFound
from steward.verdicts import Verdict, combine

_MOST_NAMED = 5


@dataclass(frozen=True)
class Part:
    """What one scan comes to."""

    verdict: Verdict
    says: str
    figures: Mapping[str, JsonValue]
    findings: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    """Acceptances that fit nothing that was found."""
    tail: str = ""


def assess_vulnerabilities(
    audit: Audit, locked: Locked, accepted: Sequence[AcceptedVulnerability], today: dt.date
) -> Part:
    """REFUTED by one that is not accepted today; UNKNOWN where a package of the lock was not asked about."""
    against: list[str] = []
    used = set[str]()
    for found in audit.vulnerabilities:
        fitting = [each for each in accepted if each.id in found.ids]
        used |= {each.id for each in fitting}
        if not any(each.until >= today for each in fitting):
            over = max((each.until for each in fitting), default=None)
            against.append(f"{found}{f'; was accepted until {over}' if over else ''}")
    missing = sorted(map(str, locked.packages - audit.asked))
    says = f"{len(locked.packages) - len(missing)} of {len(locked.packages)} packages audited, {_count(against, 'vulnerabilit', 'y', 'ies')}"
    verdict = Verdict.REFUTED if against else Verdict.UNKNOWN if missing or not locked.packages else Verdict.VERIFIED
    if missing:
        says += f"; {len(missing)} could not be audited: {_some(missing)}"
    return Part(
        verdict,
        says,
        {
            "packages": len(locked.packages),
            "packages_not_audited": len(missing),
            "packages_elsewhere": locked.elsewhere,
            "vulnerabilities": len(against),
            "vulnerabilities_accepted": len(audit.vulnerabilities) - len(against),
        },
        (*against, *(f"{each} could not be audited" for each in missing)),
        tuple(each.id for each in accepted if each.id not in used),
    )


def assess_rules(rules: Rules) -> Part:
    """REFUTED by a finding that no `noqa` of the sources silences; UNKNOWN where a file could not be read, or there is none."""
    verdict = Verdict.REFUTED if rules.findings else Verdict.VERIFIED
    if not rules.findings and (rules.unreadable or not rules.files):
        verdict = Verdict.UNKNOWN
    says = f"{rules.files} Python files, {_count(rules.findings, 'dangerous line')}, {rules.silenced} silenced"
    if rules.unreadable:
        says += f"; {len(rules.unreadable)} could not be read: {_some(rules.unreadable)}"
    return Part(
        verdict,
        says,
        {
            "files": rules.files,
            "dangerous_lines": len(rules.findings),
            "dangerous_lines_silenced": rules.silenced,
            "files_unreadable": len(rules.unreadable),
        },
        (*map(str, rules.findings), *(f"{each} could not be read as Python" for each in rules.unreadable)),
    )


def assess_secrets(scan: Scan, accepted: Sequence[AcceptedSecret], today: dt.date) -> Part:
    """REFUTED by one that is not accepted today, of its file by its hash; UNKNOWN where text was left out."""
    against: list[str] = []
    used = set[AcceptedSecret]()
    for found in scan.secrets:
        fitting = [each for each in accepted if (each.file, each.hash) == (found.file, found.hash)]
        used.update(fitting)
        if not any(each.until is None or each.until >= today for each in fitting):
            against.append(f"{found}{'; its acceptance is over' if fitting else ''}")
    verdict = Verdict.REFUTED if against else Verdict.VERIFIED
    if not against and (scan.skipped or not scan.versions):
        verdict = Verdict.UNKNOWN
    says = f"{scan.versions} versions of files, {_count(against, 'secret')}"
    if scan.skipped:
        says += f"; {len(scan.skipped)} too large to look through: {_some(scan.skipped)}"
    return Part(
        verdict,
        says,
        {
            "versions": scan.versions,
            "versions_binary": scan.binary,
            "versions_too_large": len(scan.skipped),
            "secrets": len(against),
            "secrets_accepted": len(scan.secrets) - len(against),
        },
        (*against, *(f"{each} is too large to look through" for each in scan.skipped)),
        tuple(f"{each.file} {each.hash}" for each in accepted if each not in used),
    )


def join_parts(parts: Sequence[Part]) -> StageFound:
    """The gate: refuted by any of them, verified by all. What speaks against it comes before what is not known."""
    ordered = sorted(parts, key=lambda part: [Verdict.REFUTED, Verdict.UNKNOWN, Verdict.VERIFIED].index(part.verdict))
    unused = [each for part in parts for each in part.unused]
    says = "; ".join(part.says for part in ordered)
    if unused:
        says += f"; {len(unused)} acceptances fit nothing, take them away: {_some(unused)}"
    return StageFound.of(
        combine(part.verdict for part in parts),
        says,
        figures={
            **{name: value for part in parts for name, value in part.figures.items()},
            "acceptances_unused": cast("JsonValue", unused),
        },
        findings=[each for part in ordered for each in part.findings],
        tail="\n".join(part.tail for part in parts if part.tail),
    )


def not_checked(says: str, tail: str = "") -> Part:
    """A scan that could not be carried out."""
    return Part(Verdict.UNKNOWN, says, {}, (says,), tail=tail)


def _count(of: Sequence[object], word: str, one: str = "", many: str = "s") -> str:
    return f"{len(of) or 'no'} {word}{one if len(of) == 1 else many}"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _MOST_NAMED} more" if len(listed) > _MOST_NAMED else ""
    return ", ".join(listed[:_MOST_NAMED]) + more
