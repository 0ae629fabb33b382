"""Whether a log is the one that was signed: every entry in its place, nothing cut off, nothing rewritten.

Plain functions over what was found. The roots that were signed decide; hashes that are kept or anchored only help to
say which entry it is. Which checkpoints there are to compare with bounds what can be seen: without one that was seen
before, and without the anchors, an older signed state looks just like the newest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from steward.errors import StewardError
from steward.evidence.checkpoints import Signed, open_checkpoint
from steward.evidence.errors import NoteRefused, UnusableNote
from steward.evidence.leaves import AnchoredLeaf, read_leaves
from steward.evidence.log_copies import LogCopy
from steward.evidence.merkle import Tree
from steward.evidence.notes import NoteKey
from steward.verdicts import Verdict

_MOST_NAMED = 20


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: `kind` for machines, `told` for people, the entry where it is about one."""

    kind: str
    told: str
    index: int | None = None


@dataclass(frozen=True)
class LogReport:
    """What is proved of a log, and with what it was compared."""

    verdict: Verdict
    origin: str
    source: str
    entries: int
    proved: Signed | None
    """The largest checkpoint whose root the entries give, or gave before they were damaged."""
    seen: Signed | None
    anchored_checkpoints: int | None
    """None where the anchors were not looked at."""
    anchored_leaves: int
    findings: Sequence[Finding]
    unknowns: Sequence[str]
    notices: Sequence[str]


@dataclass(frozen=True)
class _Promise:
    signed: Signed
    where: str

    @property
    def size(self) -> int:
        return self.signed.checkpoint.size


def judge(copy: LogCopy, keys: Sequence[NoteKey], *, seen: Signed | None = None) -> LogReport:
    """The verdict on *copy*: REFUTED with findings that name the entries, UNKNOWN where something is not signed."""
    findings: list[Finding] = []
    promises = _promises(copy, keys, seen, findings)
    anchored = _anchored_leaves(copy, findings)
    best = _proved(copy, promises, anchored)
    proved, tree = best or (None, Tree([]))
    findings += _broken_promises(copy, promises, tree, anchored)
    findings += _damaged(copy, tree, anchored)
    findings += _wrong_by_themselves(copy, anchored)
    findings += _wrong_beside(copy, tree, anchored)
    unknowns = list(_unknowns(copy, promises))
    verdict = Verdict.REFUTED if findings else Verdict.UNKNOWN if unknowns else Verdict.VERIFIED
    return LogReport(
        verdict=verdict,
        origin=copy.origin,
        source=copy.source,
        entries=len(copy.entries),
        proved=proved.signed if proved else None,
        seen=seen,
        anchored_checkpoints=None if copy.anchored is None else len(copy.anchored.checkpoints),
        anchored_leaves=len(anchored),
        findings=findings,
        unknowns=unknowns,
        notices=[*copy.notices, *_notices(copy, promises, anchored)],
    )


def _promises(copy: LogCopy, keys: Sequence[NoteKey], seen: Signed | None, findings: list[Finding]) -> list[_Promise]:
    """Every checkpoint that a known key signed, largest first. Those that none signed are findings."""
    found = [_Promise(seen, "the checkpoint that was seen before")] if seen else []
    if seen and seen.checkpoint.origin != copy.origin:
        told = f"this is log {copy.origin}, the checkpoint that was seen before is of {seen.checkpoint.origin}"
        findings.append(Finding("another log", told))
        found = []
    notes = {**copy.checkpoints, **({} if copy.anchored is None else _named("anchor", copy.anchored.checkpoints))}
    for where, note in notes.items():
        try:
            found.append(_Promise(open_checkpoint(note, keys, origin=copy.origin), where))
        except (NoteRefused, UnusableNote) as error:
            findings.append(Finding("checkpoint refused", f"{where}: {error.message}"))
    return sorted(found, key=lambda promise: -promise.size)


def _named(what: str, notes: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"{what} {name}": note for name, note in notes.items()}


def _anchored_leaves(copy: LogCopy, findings: list[Finding]) -> dict[int, AnchoredLeaf]:
    found: dict[int, AnchoredLeaf] = {}
    for name, body in copy.anchored.leaves.items() if copy.anchored else ():
        try:
            leaves = read_leaves(body)
        except ValueError as error:
            findings.append(Finding("anchor", f"anchor {name} is unreadable: {error}"))
            continue
        twice = [leaf.index for leaf in leaves if found.setdefault(leaf.index, leaf).leaf != leaf.leaf]
        findings += [Finding("anchor", f"two anchors name different hashes of entry {one}", one) for one in twice]
    return found


def _proved(
    copy: LogCopy, promises: Sequence[_Promise], anchored: Mapping[int, AnchoredLeaf]
) -> tuple[_Promise, Tree] | None:
    """The largest promise whose root some list of leaves gives, and the tree over that list."""
    now = {facts.index: facts.leaf for facts in copy.entries if facts.leaf}
    locked = {index: leaf.leaf for index, leaf in anchored.items()}
    for promise in promises:
        for leaves in (now, copy.leaves, locked, now | locked, copy.leaves | locked, now | copy.leaves):
            if tree := _tree(leaves, promise):
                return promise, tree
    return None


def _tree(leaves: Mapping[int, bytes], promise: _Promise) -> Tree | None:
    if not all(index in leaves for index in range(promise.size)):
        return None
    tree = Tree([leaves[index] for index in range(promise.size)])
    return tree if tree.root(promise.size) == promise.signed.checkpoint.root else None


def _broken_promises(
    copy: LogCopy, promises: Sequence[_Promise], tree: Tree, anchored: Mapping[int, AnchoredLeaf]
) -> Iterator[Finding]:
    """One finding a kind: the largest checkpoint that was cut off, the smallest that contradicts."""
    here = len(copy.entries)
    cut_back = [promise for promise in promises if promise.size > here]
    forked = [one for one in promises if one.size <= len(tree) and tree.root(one.size) != one.signed.checkpoint.root]
    neither = [one for one in promises if len(tree) < one.size <= here]
    if cut_back:
        size, where = cut_back[0].size, _where(cut_back)
        gone = ", ".join(_name(copy, anchored, index) for index in range(here, min(size, here + _MOST_NAMED)))
        more = f" and {size - here - _MOST_NAMED} more" if size - here > _MOST_NAMED else ""
        yield Finding("cut back", f"{size} entries were signed ({where}), and {here} are here; gone: {gone}{more}")
    if forked:
        size, where = forked[-1].size, _where(forked)
        yield Finding(
            "forked", f"another log of the same name was signed ({where}): it differs in its first {size} entries"
        )
    if neither:
        size, where = neither[-1].size, _where(neither)
        yield Finding("not the signed root", f"the first {size} entries do not give the root that was signed ({where})")


def _where(promises: Sequence[_Promise]) -> str:
    named = ", ".join(dict.fromkeys(promise.where for promise in promises[:3]))
    return f"{named} …" if len(promises) > 3 else named  # noqa: PLR2004 # as many as are named above


def _damaged(copy: LogCopy, tree: Tree, anchored: Mapping[int, AnchoredLeaf]) -> Iterator[Finding]:
    """Entries whose hash is not the one under the signed root; beyond it, or without one, not the anchored one."""
    for facts in copy.entries:
        index = facts.index
        signed = tree[0, index] if index < len(tree) else None
        wanted = signed or (anchored[index].leaf if index in anchored else None)
        if facts.leaf is None:
            yield Finding("missing", f"{_name(copy, anchored, index)} is not here any more", index)
        elif wanted and facts.leaf != wanted:
            by = "the signed root" if signed else "the anchors"
            yield Finding("damaged", f"{_name(copy, anchored, index)} is not what it was, by {by}", index)


def _wrong_by_themselves(copy: LogCopy, anchored: Mapping[int, AnchoredLeaf]) -> Iterator[Finding]:
    for facts in copy.entries:
        for fault in facts.faults:
            yield Finding("statement", f"{_name(copy, anchored, facts.index)}: {fault}", facts.index)
    for digest in copy.outside:
        yield Finding("outside", f"statement {digest} is recorded and no entry of the log")


def _wrong_beside(copy: LogCopy, tree: Tree, anchored: Mapping[int, AnchoredLeaf]) -> Iterator[Finding]:
    """Hashes that are not those under the signed root: the entry may be right, and what would name it is not."""
    for index in range(len(tree)):
        if copy.leaves.get(index, tree[0, index]) != tree[0, index]:
            yield Finding("kept hash", f"the hash that is kept of entry {index} is not its own", index)
        if index in anchored and anchored[index].leaf != tree[0, index]:
            yield Finding("anchor", f"the anchored hash of entry {index} is not its own", index)
    for (level, index), kept in sorted(copy.nodes.items()):
        if level and (index + 1) << level <= len(tree) and tree[level, index] != kept:
            yield Finding("kept hash", f"the hash that is kept of node {index} of level {level} is not its own")


def _unknowns(copy: LogCopy, promises: Sequence[_Promise]) -> Iterator[str]:
    here, signed = len(copy.entries), max((promise.size for promise in promises), default=0)
    if not promises:
        yield "no checkpoint of this log is signed: nothing is proved about it"
    elif here > signed:
        yield f"entries {signed} to {here - 1} are under no signed checkpoint yet: python -m steward.evidence complete"
    strangers = {facts.unknown_key: facts.index for facts in reversed(copy.entries) if facts.unknown_key}
    for key, index in strangers.items():
        yield f"statements from entry {index} on are signed by key {key}, which was not given: give it with --key"


def _notices(copy: LogCopy, promises: Sequence[_Promise], anchored: Mapping[int, AnchoredLeaf]) -> Iterator[str]:
    if not copy.statements_checked:
        yield "the statements' own signatures were not checked: no --key was given"
    signed = max((promise.size for promise in promises), default=0)
    lacking = sum(index not in anchored for index in range(signed))
    if copy.anchored is not None and lacking:
        yield f"the hashes of {lacking} signed entries are not anchored: python -m steward.evidence complete"


def _name(copy: LogCopy, anchored: Mapping[int, AnchoredLeaf], index: int) -> str:
    """Which entry, and what it is about: the anchors' word counts more than the entry's own."""
    own = copy.entries[index].about if index < len(copy.entries) else ""
    if leaf := anchored.get(index):
        return f"entry {index} ({leaf.about}; statement {leaf.statement[:12]})"
    return f"entry {index} ({own or 'nothing says what it was about'})"


def seen_before(note: bytes, keys: Sequence[NoteKey]) -> Signed:
    """The checkpoint that an auditor kept from an earlier time."""
    try:
        return open_checkpoint(note, keys)
    except StewardError as error:
        raise type(error)(f"the checkpoint that was seen before: {error.message}", hint=error.hint) from None
