"""`python -m steward migrate`, `keyring …`, `keys coverage`, `limits …`, `costs …`, `notices …`, `rollout …`, `webhooks …`.

What a person does beside the flows.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from pathlib import Path

from steward.errors import StewardError
from steward.fieldcrypt.keyring import WrappedKeys
from steward.rollout_commandline import add_commands
from steward.settings import Settings, load
from steward.webhook_commandline import add_commands as add_webhook_commands


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
    parser = argparse.ArgumentParser(prog="python -m steward", description="Steward's databases and keys")
    commands = parser.add_subparsers(dest="command", required=True)
    migrating = commands.add_parser(
        "migrate", help="apply every missing revision of Steward's schema and of the keyring's; harmless twice"
    )
    migrating.set_defaults(work=_migrate)
    keyring = commands.add_parser("keyring", help="tenants' keys").add_subparsers(dest="action", required=True)
    enrolling = keyring.add_parser("enrol", help="give tenants their first key, with evidence; harmless twice")
    enrolling.add_argument("tenants", metavar="TENANT", nargs="+")
    enrolling.set_defaults(work=_enrol)
    retiring = keyring.add_parser(
        "retire", help="disable an old key under which nothing is; all values are counted first"
    )
    reinstating = keyring.add_parser("reinstate", help="let a disabled key be read by again, until it is destroyed")
    for name, command in {"retire": retiring, "reinstate": reinstating}.items():
        command.add_argument("tenant", metavar="TENANT")
        command.add_argument("key_id", metavar="KEY_ID", type=int)
        command.set_defaults(work=partial(_change_key, name))
    listing = keyring.add_parser("backups", help="which backups of the keyring there are, newest first")
    restoring = keyring.add_parser("restore", help="fill an empty database from a backup; whoever is erased stays so")
    restoring.add_argument("source", metavar="BACKUP", help="a file, or a name that `keyring backups` lists")
    restoring.add_argument("--to", metavar="URL", required=True, help="postgresql://user@host:port/database, empty")
    restoring.add_argument("--password", metavar="REFERENCE", help="file:PATH (default: keyring.password)")
    erasing = keyring.add_parser("erase-again", help="erase whom Steward's list names in a keyring that came back")
    for name, command in {"list_backups": listing, "restore_backup": restoring, "erase_listed": erasing}.items():
        command.set_defaults(work=partial(_on_backups, name))
    keys = commands.add_parser("keys", help="the vault's keys").add_subparsers(dest="action", required=True)
    covering = keys.add_parser("coverage", help="is all that was done to keys in the journal and in the evidence?")
    covering.add_argument("--vault-log", type=Path, nargs="+", required=True, metavar="FILE", help="AuditEvent lines")
    covering.add_argument("--principal", metavar="ID", help="application or object id (default: [vault] client_id)")
    covering.add_argument("--since", metavar="TIME", help="leave out what was logged before, as 2026-01-31T00:00:00Z")
    covering.set_defaults(work=_cover)
    limits = commands.add_parser("limits", help="shared limits in Redis").add_subparsers(dest="action", required=True)
    loading = limits.add_parser("load", help="put the limiter's functions onto every master; harmless twice")
    loading.set_defaults(work=partial(_on_limits, "load_limits"))
    showing = limits.add_parser("show", help="what is used of a ring, and why nothing is granted")
    showing.add_argument("rings", metavar="RING", nargs="+", help="provider:account:model")
    showing.set_defaults(work=partial(_on_limits, "show_limits"))
    costs = commands.add_parser("costs", help="bills of AI providers").add_subparsers(dest="action", required=True)
    ours = list(_costs(costs))
    notices = commands.add_parser("notices", help="who is told of rollouts").add_subparsers(
        dest="action", required=True
    )
    checking = notices.add_parser("check", help="render every template for everything that may happen; tells nobody")
    checking.set_defaults(work=partial(_on_notices, "check_notices"))
    trying = notices.add_parser("try", help="tell every target a notice that says it is a trial")
    trying.add_argument(
        "--deployment", type=int, metavar="ID", help="of GitHub, which gets a status; absent: it is not told"
    )
    trying.set_defaults(work=partial(_on_notices, "try_notices"))
    rolling = commands.add_parser("rollout", help="see rollouts, answer them, and go back: roll-back ENVIRONMENT")
    spoken = list(_rollout(rolling))
    delivered = commands.add_parser("webhooks", help="see what was delivered and what came of it; send, and try again")
    spoken += list(_webhooks(delivered))
    for command in (loading, showing, checking, trying, *ours, *spoken):
        command.add_argument("--settings", type=Path, help="settings file (default: the one STEWARD_SETTINGS names)")
    for command in (migrating, enrolling, retiring, reinstating, listing, restoring, erasing, covering):
        command.add_argument("--settings", type=Path, help="settings file (default: the one STEWARD_SETTINGS names)")
    return parser


def _costs(costs: argparse._SubParsersAction[argparse.ArgumentParser]) -> Iterator[argparse.ArgumentParser]:
    importing = costs.add_parser("import-invoice", help="keep a provider's invoice, against which a month is stated")
    importing.add_argument("account", metavar="ACCOUNT", help="the NAME of [providers.NAME] in the settings")
    importing.add_argument("month", metavar="YYYY-MM")
    importing.add_argument("file", type=Path, metavar="FILE", help="as it was exported (JSON); kept byte by byte")
    recomputing = costs.add_parser(
        "recompute", help="explain days again from what was kept, and compare; writes nothing"
    )
    recomputing.add_argument("account", metavar="ACCOUNT")
    recomputing.add_argument("first", metavar="FIRST", type=date.fromisoformat, help="the first day, as 2026-10-01")
    recomputing.add_argument("last", metavar="LAST", type=date.fromisoformat, help="the last day, included")
    showing = costs.add_parser("stops", help="which budgets stop something now")
    lifting = costs.add_parser("lift-stop", help="let spending go on that a budget has stopped")
    lifting.add_argument("budget", metavar="BUDGET", help="its name, as `stops` tells it")
    lifting.add_argument("--because", required=True, metavar="TEXT", help="why; it is recorded with your name")
    named = {"keep_invoice": importing, "recompute_days": recomputing, "show_stops": showing, "lift": lifting}
    for name, command in named.items():
        command.set_defaults(work=partial(_on_costs, name))
        yield command


def _rollout(rolling: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for command in add_commands(rolling):
        command.set_defaults(work=_on_rollouts)
        yield command


def _webhooks(delivered: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    for command in add_webhook_commands(delivered):
        command.set_defaults(work=_on_webhooks)
        yield command


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
    from steward.enrolment import enrol  # noqa: PLC0415 # as above

    return [
        f"tenant {keys.tenant}: {one.state} generation {one.number}, key {one.key_id}"
        for keys in enrol(settings, chosen.tenants)
        for one in keys.generations
    ]


def _change_key(name: str, settings: Settings, chosen: argparse.Namespace) -> list[str]:
    from steward import key_retirement  # noqa: PLC0415 # as above

    work: Callable[[Settings, str, int], WrappedKeys] = getattr(key_retirement, name)
    kept = work(settings, chosen.tenant, chosen.key_id)
    return [f"tenant {kept.tenant}: key {one.key_id} is {one.state}" for one in kept.generations]


def _on_backups(name: str, settings: Settings, chosen: argparse.Namespace) -> list[str]:
    from steward import keyring_commands  # noqa: PLC0415 # as above

    work: Callable[[Settings, argparse.Namespace], list[str]] = getattr(keyring_commands, name)
    return work(settings, chosen)


def _on_limits(name: str, settings: Settings, chosen: argparse.Namespace) -> list[str]:
    from steward import limits_commands  # noqa: PLC0415 # as above

    work: Callable[[Settings, argparse.Namespace], list[str]] = getattr(limits_commands, name)
    return work(settings, chosen)


def _on_costs(name: str, settings: Settings, chosen: argparse.Namespace) -> list[str]:
    from steward import cost_commands  # noqa: PLC0415 # as above

    work: Callable[[Settings, argparse.Namespace], list[str]] = getattr(cost_commands, name)
    return work(settings, chosen)


def _on_notices(name: str, settings: Settings, chosen: argparse.Namespace) -> list[str]:
    from steward import notice_commands  # noqa: PLC0415 # as above

    work: Callable[[Settings, argparse.Namespace], list[str]] = getattr(notice_commands, name)
    return work(settings, chosen)


def _on_rollouts(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    from steward import rollout_commands  # noqa: PLC0415 # as above

    work: Callable[[Settings, argparse.Namespace], list[str]] = getattr(rollout_commands, chosen.does)
    return work(settings, chosen)


def _on_webhooks(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    from steward import webhook_commands  # noqa: PLC0415 # as above

    work: Callable[[Settings, argparse.Namespace], list[str]] = getattr(webhook_commands, chosen.does)
    return work(settings, chosen)


def _cover(settings: Settings, chosen: argparse.Namespace) -> list[str]:
    from steward.key_coverage import check_coverage  # noqa: PLC0415 # as above

    return check_coverage(settings, chosen.vault_log, chosen.principal, chosen.since)


if __name__ == "__main__":
    sys.exit(main())
