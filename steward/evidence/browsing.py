"""What the commands of `python -m steward.evidence` answer from the stores."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from steward.clients.postgres import connect
from steward.errors import BadInput
from steward.evidence.signers import load_public_key
from steward.evidence.store import Recorded, complete, list_statements, load_locked, load_statement
from steward.evidence.verification import as_values, in_words, one_line, verify_envelope
from steward.settings import Settings, load


def run(chosen: Namespace) -> str:
    """What the chosen command prints."""
    settings = load(chosen.settings)
    commands = {"list": _list, "show": _show, "export": _export, "complete": _complete}
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
    if chosen.locked:
        _write(chosen.to, load_locked(settings, chosen.digest).body)
    else:
        with connect(settings) as connection:
            _write(chosen.to, load_statement(connection, chosen.digest).envelope.encode())
    return (
        f"wrote {chosen.to}\ncheck it anywhere: python -m steward.evidence verify {chosen.to} --key "
        f"{settings.evidence.public_key.name}"
    )


def _complete(settings: Settings, _: Namespace) -> str:
    return f"{complete(settings)} statements recorded, every one of them under Object Lock"


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
