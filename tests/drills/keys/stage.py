"""Lanes: each a small replica with databases of its own for every case, so that cases run side by side and faults meet one."""

import json
import os
import secrets
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from multiprocessing import get_context
from pathlib import Path

import pytest
import tomli_w
from psycopg import sql

from demo.customers.enrolment import tenant_names
from demo.customers.ground import lay_tables
from demo.customers.seeding import TABLE, seeded
from demo.customers.users import APPLICATION, OWNER, application_keys, database, owner
from replica import faults, inventory, start
from replica.servers import SERVERS
from replica.servers.keyvault import _connection, _login, client_id, client_secret
from steward.clients import tenantkeys
from steward.clients.keyvault_errors import VaultThrottled
from steward.clients.keyvault_versions import open_versions
from steward.clients.postgres import connect
from steward.enrolment import enrol
from steward.fieldcrypt import FieldCipher
from steward.migrations.apply import migrate, migrate_keyring
from steward.operations.ledger import Ledger
from steward.settings import load
from tests.conftest import _PREFIX, _remove
from tests.drills.keys import cases
from tests.drills.keys.attempt import Attempt, run
from tests.integration.fresh_database import changed, superuser

PLATFORM = ["postgres", "keyvault", "s3"]
#: Shorter than production's, so that a drill waits less for the dead; the order of things is the same.
LEASE_SECONDS, HEARTBEAT_SECONDS = 4.0, 1.0
#: How often the application's processes ask what has changed.
FOLLOW_SECONDS = 0.4
#: Where a process does not come to its point, or to its end, within this time it is stuck.
PATIENCE_SECONDS = 120.0
_POLL_SECONDS = 0.05
_SHARED = ("postgres", "keyring", "applications")
#: Each of its kind takes the largest part of what the vault allows.
_OTHERS_KEY = "of-others"
_API_VERSION = "7.6"
_ASKED_BY_OTHERS = (
    ("GET", f"/keys/{_OTHERS_KEY}", None),
    ("POST", "/keys/of-others-too/create", json.dumps({"kty": "EC", "crv": "P-256"})),
)
_OTHERS, _MOST_BY_EACH = 4, 200

# Everything is imported once: an attempt is a fork of that.
_forking = get_context("forkserver")
_forking.set_forkserver_preload(["__main__", "tests.drills.keys.attempt"])


class Ground:
    """One case's databases, and the operation in them."""

    def __init__(self, lane, case, settings, settings_file) -> None:
        self.lane, self.case, self.settings, self.settings_file = lane, case, settings, settings_file
        self.folder, self.tenants = settings_file.parent, tenant_names(cases.TENANTS)
        self.began = datetime.now(UTC)
        self.processes = []
        self.book = Ledger(settings)

    def begin(self, stop=None):
        """Another attempt's process, which stops itself as *stop* says."""
        attempt = Attempt(
            flow=self.case.flow,
            request={**cases.REQUESTS[self.case.asked], **({} if self.case.asked == "erasure" else _PATIENT)},
            settings_file=str(self.settings_file),
            log=str(self.folder / f"attempt-{len(self.processes) + 1}.log"),
            environment=self.lane.environment,
            stop=stop,
        )
        process = _forking.Process(target=run, args=(attempt,), name=f"case-{self.case.number}")
        process.start()
        self.processes.append(process)
        return process

    def operation(self):
        """The ledger's row; None where no attempt has come so far."""
        rows = self.book.query("SELECT * FROM steward.operations WHERE name = %(name)s", name=self.case.flow)
        return rows[0] if rows else None

    def attempts(self):
        return self.book.query("SELECT * FROM steward.operation_attempts ORDER BY token")

    def end(self):
        """No process of the case is left."""
        for process in self.processes:
            process.kill()
            process.join()
        self.book.close()


_PATIENT = {"readers_seconds": 60}


@dataclass
class Lane:
    """A replica, and where its cases begin."""

    place: object
    environment: dict
    folder: Path
    templates: dict

    @property
    def settings(self):
        return load(inventory.settings_file(self.place))

    @property
    def vault_log(self):
        return self.settings.audit.vault_log

    @property
    def administrator(self):
        """Of the vault."""
        secret = self.place.secret_ref(client_secret("administrator"))
        return self.settings.vault.model_copy(update={"client_id": client_id("administrator"), "client_secret": secret})

    @contextmanager
    def ground(self, case):
        """Databases, a key of the vault, tenants with keys and rows: as fresh as on the first day."""
        name = f"drill_{case.number}_{secrets.token_hex(3)}"
        folder = self.folder / name
        folder.mkdir()
        settings = _with_databases(self.settings, {part: f"{name}_{part}" for part in _SHARED}, name.replace("_", "-"))
        settings_file = folder / "settings.toml"
        settings_file.write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))
        ground = Ground(self, case, settings, settings_file)
        try:
            self._lay(settings)
            _seed(settings, ground.tenants, case.number)
            yield ground
        finally:
            self.mend()
            ground.end()
            with superuser(self.settings) as db:
                for part in _SHARED:
                    db.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(_identifier(settings, part)))

    def _lay(self, settings):
        with superuser(self.settings) as db:
            for part, user in zip(_SHARED, ("steward", "keyring", OWNER), strict=True):
                create = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}")
                template = sql.Identifier(self.templates[part])
                db.execute(create.format(_identifier(settings, part), sql.Identifier(user), template))
        with superuser(self.settings, _name(settings, "postgres")) as db:
            # Each case has a log of its own: it is no copy of the template's that goes on otherwise.
            db.execute("UPDATE steward.log SET id = gen_random_uuid()")
        with open_versions(self.administrator) as vault:
            _once_it_does_not_throttle(lambda: vault.new_version(settings.keyring.kek, {"made-by": "the drill"}))

    @contextmanager
    def outage(self, outage):
        """The server is away, or throttles, as long as the block lasts, at least."""
        server, how = outage
        if how == cases.KILLED:
            faults.kill(self.place.state, server)
        elif how == cases.FROZEN:
            faults.freeze(self.place.state, server)
        else:
            self._throttle()
        try:
            yield
        finally:
            if how == cases.KILLED:
                self.mend()
            elif how == cases.FROZEN:
                faults.thaw(self.place.state, server)

    def mend(self):
        start.up(self.place.state, SERVERS, PLATFORM, say=lambda _: None)

    def _throttle(self):
        """Others have asked the vault for all that it allows in ten seconds: whoever comes next must wait."""
        token = _login(self.place)
        with ThreadPoolExecutor(_OTHERS) as pool:
            for asked in _ASKED_BY_OTHERS:
                others = [pool.submit(self._ask_until_throttled, token, *asked) for _ in range(_OTHERS)]
                assert any(each.result() for each in others), f"the vault does not throttle {asked[:2]}"

    def _ask_until_throttled(self, token, method, path, body):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        with _connection(self.place, "vault") as vault:
            for _ in range(_MOST_BY_EACH):
                vault.request(method, f"{path}?api-version={_API_VERSION}", body, headers)
                answer = vault.getresponse()
                answer.read()
                if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
                    return True
        return False


@contextmanager
def staged(prefect, count):
    """*count* lanes, whose runs are recorded by the Prefect server of the replica *prefect*."""
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        patch.setattr(tenantkeys, "FOLLOW_SECONDS", FOLLOW_SECONDS)
        with ThreadPoolExecutor(count) as pool:
            environment = inventory.environment(prefect)
            lanes = list(pool.map(lambda _: _lane(stack, environment), range(count)))
        for lane in lanes:
            _lay_templates(lane)
        yield lanes


def _lane(stack, environment):
    # Beside those of test runs: what a killed drill leaves is ended by the next run of any test.
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    folder.chmod(0o711)
    stack.callback(_remove, folder)
    place = start.up(folder / "replica", SERVERS, PLATFORM, say=lambda _: None)
    return Lane(place, environment, folder, {part: f"template_{part}" for part in _SHARED})


def _lay_templates(lane):
    """What every case has a copy of. Not for several threads at once: Alembic's context is the process's."""
    templates = lane.templates
    with superuser(lane.settings) as db:
        for part, user in zip(_SHARED, ("steward", "keyring", OWNER), strict=True):
            db.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(templates[part]), sql.Identifier(user))
            )
    settings = _with_databases(lane.settings, templates, "unused")
    migrate(settings)
    migrate_keyring(settings)
    lay_tables(settings)
    with superuser(lane.settings, templates["postgres"]) as db:
        # For the one change that each case makes of its copy.
        db.execute("ALTER TABLE steward.log DISABLE TRIGGER ALL")
    with open_versions(lane.administrator) as vault:
        vault._sdk.keys.create_rsa_key(_OTHERS_KEY, size=4096, hardware_protected=True)


def _once_it_does_not_throttle(ask):
    """The case before may have left the vault asked for all that it allows."""
    while True:
        try:
            return ask()
        except VaultThrottled as busy:
            time.sleep(busy.retry_after_seconds)


def _with_databases(settings, names, kek):
    """*settings* with the databases of these names, and *kek*."""
    fresh = changed(settings, "postgres", url=_renamed(settings.postgres.url, names["postgres"]))
    fresh = changed(fresh, "keyring", url=_renamed(settings.keyring.url, names["keyring"]), kek=kek)
    fresh = changed(fresh, "operations", lease_seconds=LEASE_SECONDS, heartbeat_seconds=HEARTBEAT_SECONDS)
    told = settings.applications[APPLICATION]
    told = told.model_copy(update={"url": _renamed(told.url, names["applications"])})
    return fresh.model_copy(update={"applications": {APPLICATION: told}})


def _renamed(url, name):
    return f"{url.rpartition('/')[0]}/{name}"


def _name(settings, part):
    urls = {
        "postgres": settings.postgres.url,
        "keyring": settings.keyring.url,
        "applications": settings.applications[APPLICATION].url,
    }
    return urls[part].rpartition("/")[2]


def _identifier(settings, part):
    return sql.Identifier(_name(settings, part))


def _seed(settings, tenants, seed):
    """Keys, with evidence of it, and rows under them. The golden tenant has none: the rotation gives it one."""
    enrol(settings, tenants)
    with (
        tenantkeys.open_tenant_keys(*application_keys(settings)) as keys,
        connect(database(owner(settings), settings)) as db,
    ):
        for chunk in seeded(tenants, cases.ROWS, seed):
            for row in chunk:
                cipher = FieldCipher(row.tenant, keys)
                email, born, notes = (
                    cipher.encrypt(TABLE, field, row.id, value) for field, value in row.values._asdict().items()
                )
                index = cipher.blind_index(TABLE, "email", row.values.email)
                db.execute(
                    "INSERT INTO customers (id, tenant_id, plan, email, email_index, born, notes)"
                    " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                    [row.id, row.tenant, row.plan, email, index, born, notes],
                )
