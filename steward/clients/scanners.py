"""Programs that look through a commit: pip-audit on its lock, Ruff's `S` rules on its sources, detect-secrets on its files.

None of them runs the commit's code or obeys its configuration; each is run as any command, in a clean environment and for a
time, and writes what it found into a file of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from steward.clients.commands import Ran
from steward.clients.git_versions import Version, Written
from steward.errors import StewardError, Unavailable
from steward.pipeline.security_found import AnswerUnreadable, Audit, Rules, Scan, SecretFound, read_audit, read_rules

Run = Callable[[Sequence[str], Path], Ran]
"""Runs a command in a folder and tells how it ended."""

# What pip-audit says where its service does not answer, or with something else than an answer.
_AWAY = re.compile(
    r"requests\.exceptions\.|ConnectionError|ServiceError|Could not connect|Max retries|timed out|JSONDecodeError"
)
_RULES = ["ruff", "check", "--select", "S", "--isolated", "--no-cache", "--no-respect-gitignore", "--exit-zero"]
_UNREADABLE = "invalid-syntax"


class VulnerabilitiesAway(Unavailable):
    """The list of known vulnerabilities does not answer."""


class ScannerStopped(StewardError):
    """A scanner did not come to its end, so that nothing is known."""

    def __init__(self, ran: Ran) -> None:
        super().__init__(f"nothing was found out: {ran.how}", hint="see what it said last")
        self.tail = ran.tail


def audit(run: Run, lock: Path, osv_url: str, folder: Path) -> Audit:
    """What is known of the packages of *lock*. Raises VulnerabilitiesAway (transient), ScannerStopped, AnswerUnreadable."""
    written = _fresh(folder / "audit.json")
    asked = [
        "-r",
        str(lock),
        "--require-hashes",
        "--disable-pip",
        "--vulnerability-service",
        "osv",
        "--osv-url",
        osv_url,
    ]
    told = ["--format", "json", "--progress-spinner", "off", "--cache-dir", str(folder / "cache"), "-o", str(written)]
    ran = run(["pip-audit", *asked, *told], folder)
    # Found or not, it writes: its exit code only says which.
    if not written.is_file():
        if ran.end == "exited" and _AWAY.search(ran.output):
            raise VulnerabilitiesAway(
                f"{osv_url} does not tell which vulnerabilities are known",
                hint="see osv_url in [pipeline]: is it reachable from here, and does it speak OSV's API?",
            )
        raise ScannerStopped(ran)
    return read_audit(written.read_text())


def check_rules(run: Run, tree: Path, sources: Sequence[str], folder: Path) -> Rules:
    """Ruff's `S` rules on *sources* of *tree*, where nothing is left out. Raises ScannerStopped, AnswerUnreadable."""
    # What is above the tree is no part of it, and what Ruff would leave out by itself is.
    paths = [str(tree / each) for each in sources]
    counted = read_rules(_ruff(run, folder, ["--config", "exclude=[]", *paths]), str(tree))
    silent = read_rules(_ruff(run, folder, ["--config", "exclude=[]", "--ignore-noqa", *paths]), str(tree))
    findings = tuple(each for each in counted if each.rule != _UNREADABLE)
    unreadable = tuple(dict.fromkeys(each.file for each in counted if each.rule == _UNREADABLE))
    files = {path for each in paths for path in [Path(each), *Path(each).rglob("*")] if _is_python(path)}
    silenced = sum(each.rule != _UNREADABLE for each in silent) - len(findings)
    return Rules(len(files), findings, silenced, unreadable)


def _ruff(run: Run, folder: Path, asked: Sequence[str]) -> str:
    written = _fresh(folder / "rules.json")
    ran = run([*_RULES, "--output-format", "json", "--output-file", str(written), *asked], folder)
    if not ran.is_green or not written.is_file():
        raise ScannerStopped(ran)
    return written.read_text()


def _is_python(path: Path) -> bool:
    return path.suffix in {".py", ".pyi"} and path.is_file()


def scan_secrets(run: Run, written: Written, folder: Path, files: Path) -> Scan:
    """detect-secrets on the versions below *files*, its plugins at their own limits. Raises ScannerStopped, AnswerUnreadable.

    A comment in a file that calls its secret none is not obeyed, and no secret is tried out on whom it may belong to.
    """
    baseline = folder / "secrets.json"
    baseline.write_text(json.dumps({"version": "1.5.0", "plugins_used": [], "filters_used": [], "results": {}}))
    allowing = "detect_secrets.filters.allowlist.is_line_allowlisted"
    asked = ["--all-files", "--no-verify", "--force-use-all-plugins", "--disable-filter", allowing]
    ran = run(["detect-secrets", "scan", *asked, "--baseline", str(baseline), "."], files)
    if not ran.is_green:
        raise ScannerStopped(ran)
    return Scan(
        len(written.files),
        len(written.binary),
        _secrets(baseline.read_text(), written.files),
        tuple(version.path for version in written.too_large),
    )


def _secrets(text: str, files: dict[str, Version]) -> tuple[SecretFound, ...]:
    try:
        results = json.loads(text)["results"]
        return tuple(
            SecretFound(files[name].path, each["line_number"], each["type"], each["hashed_secret"], files[name].in_tree)
            for name, found in results.items()
            for each in found
        )
    except (ValueError, KeyError, TypeError):
        raise AnswerUnreadable("detect-secrets") from None


def _fresh(path: Path) -> Path:
    """Where an earlier try may have written."""
    path.unlink(missing_ok=True)
    return path
