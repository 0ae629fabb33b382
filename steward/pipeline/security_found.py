"""What scanners of a commit found, as values: read from what they wrote, and from the lock that they were asked about."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from steward.errors import StewardError

_CONTINUED = re.compile(r"\\\n")
_COMMENT = re.compile(r"(^|\s)#.*$")
_HASH = re.compile(r"\s--hash[= ]\S+")


class LockUnreadable(StewardError):
    """The lock says something else than packages with versions and hashes: what it installs is not known from it."""


class AnswerUnreadable(StewardError):
    """A scanner ran to its end, and what it wrote is not what it writes."""

    def __init__(self, who: str) -> None:
        super().__init__(f"{who} wrote nothing that can be read", hint="compare its version with requirements.lock")


class Package(NamedTuple):
    """One version of one package, by its canonical name."""

    name: str
    version: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Locked(NamedTuple):
    """What a lock installs here, and how many of its packages are for other systems."""

    packages: frozenset[Package]
    elsewhere: int


class Vulnerability(NamedTuple):
    """A known one, of a package that is installed."""

    package: Package
    ids: tuple[str, ...]
    """Its own and its other names."""
    fixed: tuple[str, ...]

    def __str__(self) -> str:
        cure = f"fixed in {', '.join(self.fixed)}" if self.fixed else "no fixed version is known"
        others = f" ({', '.join(self.ids[1:])})" if self.ids[1:] else ""
        return f"{self.package} has {self.ids[0]}{others}: {cure}"


class Audit(NamedTuple):
    """What the list of vulnerabilities was asked about, and what it knows."""

    asked: frozenset[Package]
    vulnerabilities: tuple[Vulnerability, ...]


class RuleFinding(NamedTuple):
    """A line of code that one of Ruff's `S` rules warns of."""

    rule: str
    file: str
    line: int
    says: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule} {self.says}"


class Rules(NamedTuple):
    """What Ruff found."""

    files: int
    findings: tuple[RuleFinding, ...]
    silenced: int
    """Findings that a `noqa` of the sources takes away."""
    unreadable: tuple[str, ...]
    """Files that are no Python: no rule was checked there."""


class SecretFound(NamedTuple):
    """What looks like a secret; never the secret itself."""

    file: str
    line: int
    kind: str
    hash: str
    in_tree: bool
    """False: an earlier version of the file has it, since the certified release."""

    def __str__(self) -> str:
        where = "" if self.in_tree else " in an earlier version"
        return f"{self.file}:{self.line}{where}: {self.kind}, hash {self.hash}"


class Scan(NamedTuple):
    """What was looked through for secrets."""

    versions: int
    binary: int
    """Not looked through: they are no text."""
    secrets: tuple[SecretFound, ...]
    skipped: tuple[str, ...]
    """Text that was too much to look through."""


def read_lock(text: str) -> Locked:
    """The packages of a requirements file with one version each. Raises LockUnreadable for anything else in it."""
    packages, elsewhere = set[Package](), 0
    for line in _CONTINUED.sub(" ", text.replace("\r\n", "\n")).splitlines():
        stated = _HASH.sub("", _COMMENT.sub("", line)).strip()
        if not stated:
            continue
        wanted = _requirement(stated)
        if wanted.marker and not wanted.marker.evaluate():
            elsewhere += 1
            continue
        packages.add(Package(canonicalize_name(wanted.name), _version(wanted)))
    return Locked(frozenset(packages), elsewhere)


def _requirement(stated: str) -> Requirement:
    try:
        return Requirement(stated)
    except InvalidRequirement:
        raise LockUnreadable(
            f"the lock has a line that is no package with a version: {stated[:80]!r}",
            hint="lock everything into one file, as `pip-compile --generate-hashes` writes it",
        ) from None


def _version(wanted: Requirement) -> str:
    pinned = [each.version for each in wanted.specifier if each.operator in {"==", "==="} and "*" not in each.version]
    if len(pinned) != 1 or wanted.url:
        raise LockUnreadable(f"the lock has no one version of {wanted.name}", hint="pin it: name==version --hash=…")
    return pinned[0]


def read_audit(text: str) -> Audit:
    """What `pip-audit --format json` wrote. Raises AnswerUnreadable."""
    try:
        told = json.loads(text)["dependencies"]
        audited = [each for each in told if "vulns" in each]
        return Audit(
            frozenset(_package(each) for each in audited),
            tuple(_vulnerability(_package(each), found) for each in audited for found in each["vulns"]),
        )
    except (ValueError, KeyError, TypeError):
        raise AnswerUnreadable("pip-audit") from None


def _package(told: Mapping[str, Any]) -> Package:
    return Package(canonicalize_name(told["name"]), str(told["version"]))


def _vulnerability(package: Package, told: Mapping[str, Any]) -> Vulnerability:
    return Vulnerability(package, (told["id"], *sorted(told["aliases"])), tuple(told["fix_versions"]))


def read_rules(text: str, root: str) -> list[RuleFinding]:
    """What `ruff check --output-format json` wrote of files under *root*. Raises AnswerUnreadable."""
    try:
        return [
            RuleFinding(
                each["code"] or "invalid-syntax",
                each["filename"].removeprefix(root).lstrip("/"),
                each["location"]["row"],
                each["message"],
            )
            for each in json.loads(text)
        ]
    except (ValueError, KeyError, TypeError):
        raise AnswerUnreadable("ruff") from None
