"""`python -m steward keyring backups | restore | erase-again`: what a person does with backups of the keyring.

A restored keyring would bring back the keys of those who were erased since. So Steward's list of erasures is read first,
and nothing is restored without it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pydantic import ValidationError

from steward.clients.backup_bucket import open_backup_bucket
from steward.clients.erasures import backups, erasures
from steward.clients.keyring_backups import erase_again, restore
from steward.clients.postgres import connect, keyring_database
from steward.errors import BadInput
from steward.keys.backups import PREFIX, moment_of
from steward.keys.backups_errors import BackupMissing
from steward.keys.backups_format import read_header
from steward.migrations.apply import migrate_keyring
from steward.settings import Keyring, Settings

_NEXT = (
    "Next: let keyring.url name it, `python -m steward migrate`, `python -m steward keyring erase-again`, then restart "
    "every process that holds keys"
)


def list_backups(settings: Settings, _chosen: argparse.Namespace) -> list[str]:
    """Every version in the bucket, newest first, with what the register has of it."""
    with open_backup_bucket(settings) as bucket:
        versions = [each for each in bucket.versions() if not each.is_marker]
    with connect(settings) as db:
        register = {each.key: each for each in backups(db)}
    lines = list[str]()
    for version in sorted(versions, key=lambda each: each.taken_at, reverse=True):
        known = register.get(version.key)
        verdict = (known.verdict or "not read back") if known else "not in the register"
        size = f"{known.bytes:,} bytes" if known else "size unknown"
        strange = "" if moment_of(version.key) else ", none of Steward's names"
        lines.append(f"{version.key}: of {version.taken_at:%Y-%m-%d %H:%M:%S} UTC, {verdict}, {size}{strange}")
    return lines or ["no backup is there"]


def restore_backup(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    """Into an empty database, which it migrates first. Whoever is erased stays so."""
    with connect(settings) as db:
        erased = [each.tenant for each in erasures(db)]
    body = _body(settings, chosen.source)
    header = read_header(body)
    target = _target(settings, chosen.to, chosen.password)
    migrate_keyring(settings.model_copy(update={"keyring": target}), header.revision)
    restored = restore(keyring_database(target, settings.vault), body, erased)
    rows = ", ".join(f"{count:,} {name}" for name, count in restored.rows.items())
    return [
        f"restored the keyring of {header.taken_at:%Y-%m-%d %H:%M:%S} UTC, equal to the backup: {rows}",
        f"erased again: {', '.join(restored.erased_again) or 'nobody'} ({len(erased):,} listed)",
        f"it is at epoch {restored.epoch}. {_NEXT}",
    ]


def erase_listed(settings: Settings, _chosen: argparse.Namespace) -> list[str]:
    """In the keyring of the settings, however it came back."""
    with connect(settings) as db:
        erased = [each.tenant for each in erasures(db)]
    again = erase_again(keyring_database(_keyring(settings), settings.vault), erased)
    return [f"erased again: {', '.join(again) or 'nobody'} ({len(erased):,} listed)"]


def _body(settings: Settings, source: str) -> bytes:
    path = Path(source)
    if path.is_file():
        return path.read_bytes()
    if not source.startswith(PREFIX):
        raise BackupMissing(
            f"{source} is no file, and no name of a backup",
            hint="`python -m steward keyring backups` lists the names",
        )
    with open_backup_bucket(settings) as bucket:
        return bucket.get(source)


def _target(settings: Settings, url: str, password: str | None) -> Keyring:
    keyring = _keyring(settings)
    try:
        return Keyring.model_validate({**keyring.model_dump(), "url": url, "password": password or keyring.password})
    except ValidationError:
        # What was given is not echoed: people paste secrets where references belong.
        raise BadInput("--password is no reference to a secret", hint="expected file:PATH or keyvault:NAME") from None


def _keyring(settings: Settings) -> Keyring:
    if settings.keyring is None:
        raise BadInput("the settings name no keyring", hint="add [keyring]; see docs/keyring.md")
    return settings.keyring
