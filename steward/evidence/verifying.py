"""`python -m steward.evidence verify`: of one envelope, one statement's proof, an export of the log, or the stores.

Exit status: 0 proved, 1 refuted, 2 nothing can be said, or not everything. Only the stores need a driver and settings.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from steward.errors import BadInput, StewardError
from steward.evidence.bundles import read_bundle
from steward.evidence.envelopes import open_envelope
from steward.evidence.errors import LogRefused, NoteRefused, SignatureRefused, UnusableEnvelope
from steward.evidence.log_copies import LogCopy
from steward.evidence.log_verification import LogReport, judge, seen_before
from steward.evidence.log_words import log_as_values, log_in_words
from steward.evidence.notes import NoteKey, load_note_keys
from steward.evidence.proofs import FIRST_LINE, Proof, verify_proof
from steward.evidence.signers import load_public_key
from steward.evidence.verification import as_values, in_words, read_file, verify_envelope
from steward.verdicts import Verdict

if TYPE_CHECKING:
    from steward.evidence.signers import Key

PROVED, REFUTED, UNKNOWN = 0, 1, 2
_STATUS = {Verdict.VERIFIED: PROVED, Verdict.REFUTED: REFUTED, Verdict.UNKNOWN: UNKNOWN}
_REFUSED = (SignatureRefused, NoteRefused, LogRefused)


def run_verify(chosen: Namespace) -> tuple[str, int]:
    """(what is printed, exit status)."""
    try:
        if chosen.path is None or chosen.path.is_dir():
            return _told_of_log(_judged(chosen), as_json=chosen.json)
        return _verify_file(chosen)
    except StewardError as error:
        return _failed(error, as_json=chosen.json)


def _verify_file(chosen: Namespace) -> tuple[str, int]:
    if chosen.checkpoint:
        raise BadInput(
            "one file cannot be compared with an earlier checkpoint", hint="verify the log: a folder of `export --log`"
        )
    data, keys = read_file(chosen.path), _statement_keys(chosen.key)
    if data.startswith(FIRST_LINE.encode()):
        return _verify_proof(data, keys, _log_keys(chosen.log_key), as_json=chosen.json)
    verified = verify_envelope(data, _key_of(data, keys))
    return (json.dumps(as_values(verified), indent=2) if chosen.json else in_words(verified)), PROVED


def _verify_proof(data: bytes, keys: Sequence[Key], log_keys: Sequence[NoteKey], *, as_json: bool) -> tuple[str, int]:
    proof = Proof.read(data)
    verified = verify_envelope(proof.envelope, _key_of(proof.envelope, keys))
    included = verify_proof(proof, log_keys)
    if as_json:
        return json.dumps({**as_values(verified), "log": included.values()}, indent=2), PROVED
    return "\n".join([in_words(verified), *included.lines()]), PROVED


def _judged(chosen: Namespace) -> LogReport:
    if chosen.path is None:
        # Only here: what is offline needs neither a driver nor settings.
        from steward.evidence.browsing import log_as_it_is  # noqa: PLC0415 # the reason stands above

        copy, keys = log_as_it_is(chosen)
    else:
        copy, keys = _exported(chosen), _log_keys(chosen.log_key)
    seen = seen_before(read_file(chosen.checkpoint), keys) if chosen.checkpoint else None
    return judge(copy, keys, seen=seen)


def _exported(chosen: Namespace) -> LogCopy:
    return read_bundle(chosen.path, [load_public_key(path) for path in chosen.key], with_anchors=chosen.anchors)


def _told_of_log(report: LogReport, *, as_json: bool) -> tuple[str, int]:
    told = json.dumps(log_as_values(report), indent=2) if as_json else log_in_words(report)
    return told, _STATUS[report.verdict]


def _statement_keys(paths: Sequence[Path]) -> list[Key]:
    if not paths:
        raise BadInput("no public key of the statement's signer is given", hint="give it with --key PUBLIC.pem")
    return [load_public_key(path) for path in paths]


def _log_keys(paths: Sequence[Path]) -> list[NoteKey]:
    if not paths:
        raise BadInput("no public key of the log is given", hint="give the file of them with --log-key PUBLIC.pem")
    return [key for path in paths for key in load_note_keys(path)]


def _key_of(envelope: bytes, keys: Sequence[Key]) -> Key:
    """The one that the envelope names; else the first, which then refuses it."""
    try:
        named = open_envelope(envelope).signatures
    except UnusableEnvelope:
        return keys[0]
    return next((key for key in keys if key.keyid in named), keys[0])


def _failed(error: StewardError, *, as_json: bool) -> tuple[str, int]:
    refused = isinstance(error, _REFUSED)
    told, status = ("refused", REFUTED) if refused else ("unusable", UNKNOWN)
    if as_json:
        return json.dumps({"signature": told, "reason": error.message, "hint": error.hint}, indent=2), status
    return f"signature: {told.upper()}\n{error}", status
