"""Two files that others write: role assignments at the vault, and the vault's own log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from steward.errors import StewardError
from steward.keys.audit_facts import Assignment, AssignmentFacts, LogFacts, Use
from steward.keys.vaultlog import Logged, read_vault_log

_FIRST_REFUSAL = 400


class SourceUnreadable(StewardError):
    """A file that the settings name cannot be read, or is not what it is said to be."""


def read_assignments(path: Path | None) -> AssignmentFacts:
    """What `az role assignment list --scope VAULT --include-inherited -o json` printed into *path*. SourceUnreadable."""
    if path is None:
        raise SourceUnreadable(
            "no export of the vault's role assignments is named: the vault itself does not tell them",
            hint="az role assignment list --scope VAULT --include-inherited -o json, and let audit.role_assignments name it",
        )
    rows, exported_at = _parsed(path)
    try:
        return AssignmentFacts(exported_at=exported_at, assignments=tuple(map(_assignment, rows)))
    except (KeyError, TypeError, ValueError) as error:
        raise _no_export(path, f"{type(error).__name__} {error}"[:200]) from None


def _parsed(path: Path) -> tuple[list[Mapping[str, Any]], datetime]:
    try:
        rows: Any = json.loads(path.read_bytes())
        exported_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as error:
        raise _unreadable(path, error) from None
    except ValueError:
        raise _no_export(path, "no JSON") from None
    if not isinstance(rows, list):
        raise _no_export(path, "no list")
    return cast("list[Mapping[str, Any]]", rows), exported_at


def _assignment(row: Mapping[str, Any]) -> Assignment:
    return Assignment(
        principal_id=row["principalId"],
        principal=row.get("principalName") or "",
        kind=row.get("principalType") or "",
        role=row["roleDefinitionName"],
        scope=row["scope"],
    )


def read_log(path: Path | None, since: datetime) -> LogFacts:
    """Who did what since then, by the vault's own log in *path*. SourceUnreadable, VaultLogUnusable."""
    if path is None:
        raise SourceUnreadable(
            "no file of the vault's own log is named",
            hint="let audit.vault_log name the vault's AuditEvent diagnostics, or leave [vault_log] out of the policy",
        )
    tally = _Tally(since)
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            # The last line may still be on its way.
            for logged in read_vault_log((line for line in file if line.endswith("\n")), path.name):
                tally.add(logged)
    except OSError as error:
        raise _unreadable(path, error) from None
    return tally.facts()


class _Tally:
    """Counts what each principal asked for."""

    def __init__(self, since: datetime) -> None:
        self._since = since
        self._newest: datetime | None = None
        self._uses: Counter[tuple[tuple[str, ...], str, bool]] = Counter()

    def add(self, logged: Logged) -> None:
        self._newest = max(logged.time, self._newest or logged.time)
        if logged.time >= self._since:
            allowed = logged.status < _FIRST_REFUSAL
            self._uses[tuple(sorted(logged.principals)), logged.action.operation, allowed] += 1

    def facts(self) -> LogFacts:
        named = sorted({(who, operation) for who, operation, _ in self._uses if who})
        return LogFacts(
            newest_at=self._newest,
            lines=self._uses.total(),
            anonymous=sum(count for (who, *_), count in self._uses.items() if not who),
            uses=tuple(
                Use(
                    principals=who,
                    operation=operation,
                    allowed=self._uses[who, operation, True],
                    refused=self._uses[who, operation, False],
                )
                for who, operation in named
            ),
        )


def _unreadable(path: Path, error: OSError) -> SourceUnreadable:
    return SourceUnreadable(
        f"cannot read {path}: {error.strerror}", hint="see whoever exports it; its name is in the settings, [audit]"
    )


def _no_export(path: Path, what: str) -> SourceUnreadable:
    return SourceUnreadable(
        f"{path} is no list of role assignments: {what}",
        hint="expected what az role assignment list --scope VAULT --include-inherited -o json prints",
    )
