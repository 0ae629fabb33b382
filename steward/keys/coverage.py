"""Whether everything that was done to keys in Steward's name was announced, and is in a statement.

Three records are laid side by side: the vault's own log, the journal of calls, and the recorded statements. What is in
the vault's log and not in the other two is named: somebody else used Steward's login, or Steward went past its journal.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from steward.errors import BadInput, StewardError
from steward.keys.actions import READS, is_key_operation
from steward.keys.calls import CHECKPOINT, KeyCall, KeyCalls, key_calls
from steward.keys.vaultlog import Logged

_MOST_NAMED = 50
_Scope = tuple[int | None, str | None]


class NothingToCover(BadInput):
    """The log has no key operation of the principal: that proves nothing."""


class KeyOperationsUncovered(StewardError):
    """Key operations were done in Steward's name that it does not account for, or its accounts do not fit together."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a recorded statement says of calls."""

    statement: str
    """Its digest."""
    calls: KeyCalls


@dataclass(frozen=True, slots=True)
class Uncovered:
    """A line of the vault's log, and why it is not accounted for."""

    logged: Logged
    reason: str

    def __str__(self) -> str:
        request_id = self.logged.request_id or "without a request id"
        return f"{self.logged.action} at {self.logged.time:%Y-%m-%d %H:%M:%S.%f} UTC ({request_id}): {self.reason}"


@dataclass(frozen=True)
class Coverage:
    """What became of the principal's lines."""

    by_operation: dict[str, int]
    """Key operations in the log, covered or not."""
    uncovered: tuple[Uncovered, ...]
    findings: tuple[str, ...]
    """Statements that the journal contradicts."""
    reads: int
    """Questions for public keys and lists: asked apart, for they touch no key."""
    reads_announced: int
    others: int
    """Lines that concern no key: secrets, certificates."""
    unseen: int
    """Announced key operations that this log does not have: they never arrived, or another log has them."""

    @property
    def operations(self) -> int:
        return sum(self.by_operation.values())

    @property
    def covered(self) -> int:
        return self.operations - len(self.uncovered)

    @property
    def percent(self) -> float:
        """Of the key operations; NothingToCover keeps it from being asked of none."""
        return 100 * self.covered / self.operations

    @property
    def is_complete(self) -> bool:
        return not self.uncovered and not self.findings


@dataclass
class _Accounts:
    """The journal, and which of its rows are in a statement."""

    calls: dict[UUID, KeyCall]
    told: set[UUID]
    checkpoint_key: str | None
    used: set[UUID] = field(default_factory=set[UUID])

    def reason(self, logged: Logged) -> str:
        """Why the line is not covered; empty where it is."""
        call = self.calls.get(logged.request_id) if logged.request_id else None
        if call is None:
            return "not in the journal"
        if call.action != logged.action:
            return f"its request id was announced for another call: {call.action}"
        if call.request_id in self.used:
            return "its request id was used before: each try has its own"
        self.used.add(call.request_id)
        if call.request_id in self.told or self._is_checkpoint(call):
            return ""
        return f"in the journal ({_behalf((call.note.operation_id, call.note.command))}), in no recorded statement"

    def _is_checkpoint(self, call: KeyCall) -> bool:
        # A checkpoint says itself what was signed; a statement about its signature would need another checkpoint.
        signs = call.action.operation == "KeySign" and call.action.name == self.checkpoint_key
        return signs and call.note.purpose == CHECKPOINT


def cover(
    log: Iterable[Logged],
    calls: Iterable[KeyCall],
    statements: Iterable[Told],
    *,
    principal: str,
    checkpoint_key: str | None,
    since: datetime | None = None,
) -> Coverage:
    """What the *log* has of *principal*, an application's or object's id, beside *calls* and *statements*.

    *checkpoint_key* is the vault's key that signs the evidence log's checkpoints, where one does; what was logged before
    *since* is left aside. Of *statements* those with a good signature only: whoever can write rows could write some of his own.
    """
    journal = list(calls)
    told, findings = _told(journal, statements)
    accounts = _Accounts({call.request_id: call for call in journal}, told, checkpoint_key)
    lines = [line for line in log if principal.lower() in line.principals and (since is None or line.time >= since)]
    done = [line for line in lines if is_key_operation(line.action.operation)]
    if not done:
        raise NothingToCover(
            f"the log has no key operation of principal {principal}",
            hint="is it the id of the application that Steward logs in as, and the log of its vault?",
        )
    reads = [line for line in lines if line.action.operation in READS]
    uncovered = [Uncovered(line, reason) for line in done if (reason := accounts.reason(line))]
    recent = [call for call in journal if since is None or call.noted_at >= since]
    announced = {call.request_id for call in recent if is_key_operation(call.action.operation)}
    return Coverage(
        by_operation=dict(sorted(Counter(line.action.operation for line in done).items())),
        uncovered=tuple(uncovered),
        findings=tuple(findings),
        reads=len(reads),
        reads_announced=sum(line.request_id in accounts.calls for line in reads),
        others=len(lines) - len(done) - len(reads),
        unseen=len(announced - {line.request_id for line in done}),
    )


def require_complete(coverage: Coverage) -> None:
    """KeyOperationsUncovered names what is not accounted for."""
    if coverage.is_complete:
        return
    named = [*coverage.findings, *map(str, coverage.uncovered)]
    more = [f"and {len(named) - _MOST_NAMED} more"] if len(named) > _MOST_NAMED else []
    missing = f"{len(coverage.uncovered)} of {coverage.operations} key operations are not accounted for"
    raise KeyOperationsUncovered(
        "\n  ".join(
            [f"{missing}; {len(coverage.findings)} statements do not fit the journal", *named[:_MOST_NAMED], *more]
        ),
        hint="not in the journal: who else has the login? in no statement: did that operation end, and record one?",
    )


def in_words(coverage: Coverage) -> list[str]:
    """For people: the figure first."""
    kinds = ", ".join(f"{name} {count}" for name, count in coverage.by_operation.items())
    return [
        f"{coverage.covered} of {coverage.operations} key operations are accounted for ({coverage.percent:.2f} %): {kinds}",
        f"questions for public keys: {coverage.reads}, {coverage.reads_announced} of them in the journal",
        f"lines that concern no key: {coverage.others}",
        f"in the journal and not in this log: {coverage.unseen} (never arrived, or in another log)",
    ]


def _told(journal: Sequence[KeyCall], statements: Iterable[Told]) -> tuple[set[UUID], list[str]]:
    """Rows that a statement speaks for, as its digest proves; and what is wrong with the other statements."""
    by_scope = defaultdict[_Scope, list[KeyCall]](list)
    for call in journal:
        by_scope[call.note.operation_id, call.note.command].append(call)
    told, findings = set[UUID](), list[str]()
    for one in statements:
        scope = (one.calls["operation"], one.calls["command"])
        meant = [call for call in by_scope[scope] if call.id <= one.calls["through"]]
        if scope != (None, None) and key_calls(meant, operation=scope[0], command=scope[1]) == one.calls:
            told.update(call.request_id for call in meant)
        else:
            findings.append(
                f"statement {one.statement} tells of {one.calls['count']} calls ({_behalf(scope)}), "
                f"and the journal has {len(meant)} with another digest"
            )
    return told, findings


def _behalf(scope: _Scope) -> str:
    operation, command = scope
    return command or (f"operation {operation}" if operation is not None else "on nobody's behalf")
