"""What the commands of `python -m steward.evidence` answer from the stores."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from steward.clients.postgres import connect
from steward.errors import BadInput
from steward.evidence.checkpoint_signing import newest_version, published_keys
from steward.evidence.log import log_id, origin_of
from steward.evidence.log_copies import LogCopy
from steward.evidence.log_exporting import export_log, newest_note, proof_of
from steward.evidence.log_stores import log_in_stores
from steward.evidence.notes import NoteKey, load_note_keys, note_key
from steward.evidence.recovering import recover
from steward.evidence.rows import Recorded
from steward.evidence.signers import load_public_key
from steward.evidence.store import complete, list_statements, load_locked, load_statement
from steward.evidence.verification import as_values, in_words, one_line, verify_envelope
from steward.settings import Settings, load


def run(chosen: Namespace) -> str:
    """What the chosen command prints."""
    settings = load(chosen.settings)
    commands = {
        "list": _list,
        "show": _show,
        "export": _export,
        "complete": _complete,
        "recover": _recover,
        "checkpoint": _checkpoint,
        "keys": _keys,
    }
    return commands[chosen.command](settings, chosen)


def _list(settings: Settings, chosen: Namespace) -> str:
    with connect(settings) as connection:
        rows = list_statements(
            connection, chosen.operation, subject=chosen.subject, period=chosen.period, limit=chosen.limit
        )
    if chosen.json:
        return json.dumps([_values(row) for row in rows], indent=2)
    return "\n".join([_HEADER, *(_line(row) for row in rows)]) if rows else "no statement is recorded"


def _show(settings: Settings, chosen: Namespace) -> str:
    with connect(settings) as connection:
        row = load_statement(connection, chosen.digest)
    verified = verify_envelope(row.envelope.encode(), load_public_key(settings.evidence.public_key))
    return json.dumps(as_values(verified), indent=2) if chosen.json else in_words(verified)


def _export(settings: Settings, chosen: Namespace) -> str:
    if chosen.log:
        return _export_log(settings, chosen)
    if not chosen.digest or not chosen.to:
        raise BadInput("nothing to export is named", hint="export DIGEST --to FILE, or export --log DIR")
    _write(chosen.to, _exported(settings, chosen))
    log_key = f" --log-key {_published(settings).name}" if chosen.proof else ""
    return (
        f"wrote {chosen.to}\ncheck it anywhere: python -m steward.evidence verify {chosen.to} --key "
        f"{settings.evidence.public_key.name}{log_key}"
    )


def _exported(settings: Settings, chosen: Namespace) -> bytes:
    if chosen.locked:
        return load_locked(settings, chosen.digest).body
    with connect(settings) as connection:
        row = load_statement(connection, chosen.digest)
        return proof_of(connection, row).written() if chosen.proof else row.envelope.encode()


def _export_log(settings: Settings, chosen: Namespace) -> str:
    published = _published(settings)
    entries = export_log(settings, chosen.log, with_anchors=chosen.anchors)
    return (
        f"wrote {entries} entries into {chosen.log}\ncheck it anywhere: python -m steward.evidence verify {chosen.log} "
        f"--key {settings.evidence.public_key.name} --log-key {published.name} --checkpoint LAST_SEEN"
    )


def _published(settings: Settings) -> Path:
    if settings.evidence.checkpoint_public_keys is None:
        raise BadInput("the log is not signed here", hint="set evidence.checkpoint_key; see docs/evidence.md")
    return settings.evidence.checkpoint_public_keys


def log_as_it_is(chosen: Namespace) -> tuple[LogCopy, list[NoteKey]]:
    """The log in the stores that settings name, and the keys that its checkpoints may be signed with."""
    settings = load(chosen.settings)
    paths = [settings.evidence.public_key, *chosen.key]
    copy = log_in_stores(settings, [load_public_key(path) for path in paths], with_anchors=chosen.anchors)
    given = [key for path in chosen.log_key for key in load_note_keys(path)]
    return copy, given or published_keys(settings)


def _complete(settings: Settings, _: Namespace) -> str:
    looked_at = complete(settings)
    signed = "signed and anchored" if settings.evidence.checkpoint_key else "anchored; no key signs it"
    return f"{looked_at} statements recorded, every one of them under Object Lock; the log is {signed}"


def _recover(settings: Settings, _: Namespace) -> str:
    return f"{recover(settings)} statements that the database had lost are recorded again"


def _checkpoint(settings: Settings, _: Namespace) -> str:
    with connect(settings) as connection:
        return newest_note(connection).note.removesuffix("\n")


def _keys(settings: Settings, _: Namespace) -> str:
    published = load_note_keys(_published(settings))
    with connect(settings) as connection:
        origin = origin_of(log_id(connection))
    newest = newest_version(settings)
    key = note_key(newest.public)
    lines = [f"published  {one.fingerprint}\n  {one.verifier(origin)}" for one in published]
    if key in published:
        return "\n".join([*lines, f"the vault's newest, {newest.kid}, is {key.fingerprint}: published"])
    return "\n".join([*lines, f"NOT published: {newest.kid}, {key.fingerprint}; append this:", key.pem.rstrip()])


def _write(path: Path, envelope: bytes) -> None:
    try:
        with path.open("xb") as file:
            file.write(envelope)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}", hint="name a new file in a folder of yours") from None


_HEADER = f"{'recorded (UTC)':19}  {'verdict':8}  {'statement':12}  operation, subject, period, attempt"


def _line(row: Recorded) -> str:
    what = f"{row.operation}  {row.subject}  {row.period}  attempt {row.attempt}"
    return one_line(f"{row.recorded_at:%Y-%m-%d %H:%M:%S}  {row.verdict:8}  {row.digest[:12]}  {what}")


def _values(row: Recorded) -> dict[str, object]:
    kept = {name: value for name, value in vars(row).items() if name != "envelope"}
    return {**kept, "recorded_at": row.recorded_at.isoformat()}
