"""`python -m steward migrate`, and `keyring enrol TENANT`: the databases' schemas, and a tenant's first key."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from steward.errors import BadInput, StewardError
from steward.settings import Settings, load


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    work: Callable[[Settings, argparse.Namespace], list[str]] = chosen.work
    try:
        for line in work(load(chosen.settings), chosen):
            print(line)
    except StewardError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m steward", description="Steward's databases")
    commands = parser.add_subparsers(dest="command", required=True)
    migrating = commands.add_parser(
        "migrate", help="apply every missing revision of Steward's schema and of the keyring's; harmless twice"
    )
    migrating.set_defaults(work=_migrate)
    keyring = commands.add_parser("keyring", help="tenants' keys").add_subparsers(dest="action", required=True)
    enrolling = keyring.add_parser("enrol", help="give a tenant its first key; harmless twice")
    enrolling.add_argument("tenant", metavar="TENANT")
    enrolling.set_defaults(work=_enrol)
    for command in (migrating, enrolling):
        command.add_argument("--settings", type=Path, help="settings file (default: the one STEWARD_SETTINGS names)")
    return parser


def _migrate(settings: Settings, _chosen: argparse.Namespace) -> list[str]:
    # Here, because whoever asks for help needs no driver of PostgreSQL.
    from steward.migrations.apply import Migrated, migrate, migrate_keyring  # noqa: PLC0415 # the reason stands above

    def told(schema: str, done: Migrated) -> str:
        if not done.changed:
            return f"schema {schema} is at revision {done.after}: nothing to do"
        return f"schema {schema} migrated from {done.before or 'an empty database'} to revision {done.after}"

    lines = [told("steward", migrate(settings))]
    if settings.keyring:
        lines.append(told("keyring", migrate_keyring(settings)))
    return lines


def _enrol(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    from steward.clients.keyring import open_keyring  # noqa: PLC0415 # as above
    from steward.clients.keyvault import open_vault  # noqa: PLC0415 # as above

    if settings.keyring is None or settings.vault is None:
        raise BadInput(
            "the settings name no keyring, or no vault", hint="add [keyring] and [vault]; see docs/keyring.md"
        )
    with open_vault(settings.vault) as vault, open_keyring(settings.keyring, settings.vault) as keyring:
        generations = keyring.enrol(chosen.tenant, vault).generations
    return [f"tenant {chosen.tenant}: {one.state} generation {one.number}, key {one.key_id}" for one in generations]


if __name__ == "__main__":
    sys.exit(main())
