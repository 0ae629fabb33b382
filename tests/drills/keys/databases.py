"""The databases of one case: copies of a lane's templates, which are laid once."""

from psycopg import sql

from demo.customers.ground import lay_tables
from demo.customers.users import APPLICATION, OWNER
from steward.migrations.apply import migrate, migrate_keyring
from tests.integration.fresh_database import changed, superuser

#: Parts of the settings that name a database, and who owns it.
_OWNERS = {"postgres": "steward", "keyring": "keyring", "applications": OWNER}
_TEMPLATES = "template"


def named(settings, prefix, **operations):
    """*settings* with databases whose names begin with *prefix*, and with these terms of operations."""
    fresh = changed(settings, "postgres", url=_renamed(settings.postgres.url, f"{prefix}_postgres"))
    fresh = changed(fresh, "keyring", url=_renamed(settings.keyring.url, f"{prefix}_keyring"))
    fresh = changed(fresh, "operations", **operations)
    told = settings.applications[APPLICATION]
    told = told.model_copy(update={"url": _renamed(told.url, f"{prefix}_applications")})
    return fresh.model_copy(update={"applications": {APPLICATION: told}})


def lay_templates(settings):
    """What every case has a copy of. Not for several threads at once: Alembic's context is the process's."""
    _create(settings, _TEMPLATES, sql.SQL("CREATE DATABASE {database} OWNER {owner}"))
    templates = named(settings, _TEMPLATES)
    migrate(templates)
    migrate_keyring(templates)
    lay_tables(templates)
    with superuser(settings, f"{_TEMPLATES}_postgres") as db:
        # For the one change that each case makes of its copy.
        db.execute("ALTER TABLE steward.log DISABLE TRIGGER ALL")


def copy_templates(settings, prefix):
    """The databases that `named` names."""
    _create(settings, prefix, sql.SQL("CREATE DATABASE {database} OWNER {owner} TEMPLATE {template}"))
    with superuser(settings, f"{prefix}_postgres") as db:
        # Each case has a log of its own: it is no copy of the template's that goes on otherwise.
        db.execute("UPDATE steward.log SET id = gen_random_uuid()")


def drop(settings, prefix):
    """Whoever is connected."""
    with superuser(settings) as db:
        for part in _OWNERS:
            name = sql.Identifier(f"{prefix}_{part}")
            db.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))


def _create(settings, prefix, statement):
    with superuser(settings) as db:
        for part, owner in _OWNERS.items():
            names = {"database": f"{prefix}_{part}", "owner": owner, "template": f"{_TEMPLATES}_{part}"}
            db.execute(statement.format(**{name: sql.Identifier(value) for name, value in names.items()}))


def _renamed(url, name):
    return f"{url.rpartition('/')[0]}/{name}"
