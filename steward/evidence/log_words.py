"""What was found of a log, for people and for machines: the verdict first, and what could not be seen said aloud."""

from __future__ import annotations

from collections.abc import Iterator

from steward.evidence.log_verification import LogReport
from steward.evidence.notes import to_base64
from steward.evidence.verification import one_line
from steward.verdicts import Verdict

_MEANING = {
    Verdict.VERIFIED: "every entry is in its place in the log that was signed",
    Verdict.REFUTED: "it is NOT the log that was signed: see the findings",
    Verdict.UNKNOWN: "nothing is wrong with what is signed, and not everything is",
}


def log_in_words(report: LogReport) -> str:
    """For an auditor to read."""
    return "\n".join(one_line(line) for line in _lines(report))


def log_as_values(report: LogReport) -> dict[str, object]:
    """The same for machines."""
    proved = report.proved
    return {
        "verdict": report.verdict.value,
        "origin": report.origin,
        "source": report.source,
        "entries": report.entries,
        "checkpoint": {
            "size": proved.checkpoint.size,
            "root": proved.checkpoint.root.hex(),
            "key_id": proved.key.fingerprint,
        }
        if proved
        else None,
        "compared_with": compared_with(report),
        "seen_size": report.seen.checkpoint.size if report.seen else None,
        "anchored_checkpoints": report.anchored_checkpoints,
        "anchored_leaves": report.anchored_leaves,
        "findings": [{"kind": one.kind, "index": one.index, "told": one.told} for one in report.findings],
        "unknown": list(report.unknowns),
        "notices": list(report.notices),
    }


def compared_with(report: LogReport) -> list[str]:
    """What an older signed state could have been told by: `checkpoint`, `anchors`, both, or nothing."""
    return ["checkpoint"] * bool(report.seen) + ["anchors"] * bool(report.anchored_checkpoints)


def _lines(report: LogReport) -> Iterator[str]:
    yield f"log:        {report.verdict} ({_MEANING[report.verdict]})"
    yield f"origin:     {report.origin}"
    yield f"read from:  {report.source}"
    yield f"entries:    {report.entries}"
    yield from _checkpoint(report)
    yield from _compared(report)
    for title, told in (
        ("findings", [f"{one.kind}: {one.told}" for one in report.findings]),
        ("not known", report.unknowns),
        ("notices", report.notices),
    ):
        if told:
            yield f"{title}:"
            yield from (f"  {line}" for line in told)


def _checkpoint(report: LogReport) -> Iterator[str]:
    if report.proved is None:
        yield "checkpoint: none that these entries give"
        return
    told = report.proved.checkpoint
    yield f"checkpoint: {told.size} entries, root {to_base64(told.root)}, signed by key {report.proved.key.fingerprint}"


def _compared(report: LogReport) -> Iterator[str]:
    if report.seen:
        yield f"compared:   with the checkpoint that was seen before, of {report.seen.checkpoint.size} entries"
    if report.anchored_checkpoints:
        yield (
            f"compared:   with the anchors under Object Lock: {report.anchored_checkpoints} checkpoints, hashes of "
            f"{report.anchored_leaves} entries"
        )
    if not compared_with(report):
        yield "compared:   with NOTHING: no checkpoint that was seen before, no anchors. An older signed state in the"
        yield "            newest one's place would look just like this: give --checkpoint, or let the anchors be read"
