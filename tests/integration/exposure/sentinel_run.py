"""Every flow that deals with keys, run as it is deployed, on rows whose content is like nothing else; and all that this touched.

Everything that could tell is told to: loggers at DEBUG, those of the Azure SDK and of the clients below among them, all
of it sent to Prefect; results stored unless a flow forbids it.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import sys
import time
import tomllib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import tomli_w
from prefect.client.orchestration import get_client
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import create_engine

from demo.customers.deployment import deployment, serving
from demo.customers.ground import lay_tables
from demo.customers.rows import add_members
from demo.customers.site import Site
from flows.audit_keys import audit_keys
from flows.backup_keyring import backup_keyring
from flows.monthly_key_rotation import monthly_key_rotation
from flows.rotate_provider_keys import rotate_provider_keys
from flows.shred_tenant import shred_tenant
from replica import inventory
from replica.server import Place
from replica.servers.keyvault import SIGNING
from steward.clients.keyvault_versions import open_versions
from steward.clients.postgres import application_database, connect
from steward.enrolment import enrol
from steward.keys.golden import GOLDEN_TENANT
from steward.settings import Settings, load
from tests.flows.durable_ground import ended, wait_for
from tests.flows.provider_keys_ground import Account, Ground
from tests.integration.exposure import haystacks, lingering_application, lingering_flow
from tests.integration.exposure.existing import (
    replica_secrets,
    tenant_secrets,
    vault_keys,
    vault_secrets,
    vault_values,
)
from tests.integration.exposure.needles import Secret
from tests.integration.exposure.scanning import Haystack
from tests.integration.fresh_database import superuser
from tests.keyring_ground import keyring_ground
from tests.testbed.providers.ground import Twins, running_twins

TENANTS = ["kept", "damaged", "erased"]
ROWS = 3
FLOWS = [monthly_key_rotation, backup_keyring, rotate_provider_keys, shred_tenant, audit_keys]
_OUTPUT = "application.log"


@dataclass
class SentinelRun:
    """What has run, and what existed meanwhile."""

    place: Place
    settings: Settings
    folder: Path
    """The tests' own: settings, logs of the application, memories."""
    began: float
    secrets: set[Secret] = field(default_factory=set)
    runs: dict[str, Any] = field(default_factory=dict)
    """Flow runs' ids by flow."""
    account: Account | None = None
    """At the providers' twins, that gets another key."""

    def memory(self, name: str) -> bytes:
        """Of a flow's process, or the application's."""
        return (self.folder / "memory" / name).read_bytes()

    def memory_of(self, flow: str) -> bytes:
        return self.memory(f"{self.runs[flow]}.memory")

    def places(self) -> Iterator[Haystack]:
        """Everywhere that a secret of the run could have been left."""
        for name, url in self.databases().items():
            yield from haystacks.tables(self.settings, conninfo_to_dict(url)["dbname"], name=name)
        yield from haystacks.written_ahead(self.place, self.began)
        yield from haystacks.files(self.place.state, name="replica")
        yield from haystacks.files(self.folder / "output", name="output")
        yield from haystacks.files(self.folder / "twins", name="twins", kept={"secrets": {"provider key", "password"}})
        yield from haystacks.files(Path.home() / ".prefect", name="Prefect's home of this user")
        for bucket in (self.settings.objects.evidence_bucket, self.settings.objects.backup_bucket):
            yield from haystacks.objects(self.settings, bucket, self.began)

    def ask_prefect(self, query: str, *values: Any) -> list[tuple]:
        """Prefect's own database."""
        with superuser(self.settings, "prefect") as connection:
            return connection.execute(query, values).fetchall()

    def databases(self) -> dict[str, str]:
        """URLs by what they are of."""
        return {
            "prefect": f"{self.settings.postgres.url.rpartition('/')[0]}/prefect",
            "steward": self.settings.postgres.url,
            "keyring": self.settings.keyring.url,
            "customers": self.settings.applications["customers"].url,
        }


@contextmanager
def sentinel_run(place: Place, folder: Path) -> Generator[SentinelRun]:
    """All of it; the databases and the bucket are dropped afterwards."""
    began = time.time()
    for name in ("memory", "output", "twins"):
        (folder / name).mkdir(mode=0o700)
    with (
        _removed(folder / "memory"),
        running_twins(folder / "twins") as twins,
        keyring_ground(inventory.settings_file(place), folder) as ground,
    ):
        settings = _with_own_kek(ground.file)
        run = SentinelRun(place, settings, folder, began)
        run.secrets |= {*replica_secrets(place), *_secrets_of(twins)}
        run.account = Ground(place, twins, settings, ground.file).account("openai")
        _serve_customers(run)
        # So that the rotation has a finding to tell of.
        _turn_a_bit(settings)
        _collect(run)
        with _deployed(ground.file, folder / "memory") as deployments:
            other_key = {"request": {"account": run.account.name, "reason": "a test of what is left behind"}}
            first = {
                monthly_key_rotation.name: _ROTATION,
                rotate_provider_keys.name: other_key,
                backup_keyring.name: {},
            }
            _run_side_by_side(run, deployments, first)
            _collect(run)
            # The bit turned back: what the erasure proves of others is another thing.
            _turn_a_bit(settings)
            # One after the other: a checkpoint that the audit signs may be the erasure's too, which then asks no vault.
            _run_side_by_side(run, deployments, {shred_tenant.name: _ERASURE})
            _run_side_by_side(run, deployments, {audit_keys.name: {}})
            _collect(run)
            yield run


@contextmanager
def _removed(folder: Path) -> Generator[None]:
    """In the end: they hold secrets of a replica that may go on, and pytest keeps what tests leave."""
    try:
        yield
    finally:
        shutil.rmtree(folder)


def _secrets_of(twins: Twins) -> Iterator[Secret]:
    """Keys that the twins know from the start, their administrations' too."""
    for path in sorted((twins.folder / "secrets").iterdir()):
        yield Secret("password", f"twins' {path.name}", path.read_bytes().strip())


_ROTATION = {
    "request": {
        "reason": "suspected-compromise",
        "because": "a test of what is left behind",
        "grace_days": 0,
        "readers_seconds": 60,
    }
}
_ERASURE = {"request": {"tenant": "erased", "confirm": "erased", "reason": "a test of what is left behind"}}


def _with_own_kek(file: Path) -> Settings:
    """A key of the vault that no other test's keyring needs: a rotation disables old versions."""
    name = f"exposure-{secrets.token_hex(6)}"
    with open_versions(load(file).vault) as vault:
        vault.new_version(name, {"made-for": "a test"})
    written = tomllib.loads(file.read_text())
    written["keyring"]["kek"] = name
    file.write_text(tomli_w.dumps(written))
    return load(file)


def _serve_customers(run: SentinelRun) -> None:
    """Rows as users write them, read and search for them, over HTTP; then the application's end."""
    settings = run.settings
    lay_tables(settings)
    # The golden tenant too: the rotation that enrols it would destroy its first key before anybody has seen it.
    enrol(settings, [*TENANTS, GOLDEN_TENANT])
    (run.folder / "secrets").mkdir(mode=0o700)
    told = deployment(settings, run.folder / "secrets")
    engine = create_engine(told.url())
    add_members(engine, TENANTS)
    engine.dispose()
    module = lingering_application.__name__
    with (
        patch.dict(os.environ, {lingering_application.VARIABLE: str(run.folder / "memory")}),
        serving(told, run.folder / "output" / _OUTPUT, module=module) as served,
    ):
        site = Site(served.url, told)
        for tenant in TENANTS:
            for number in range(ROWS):
                run.secrets |= _customer(site, tenant, number)
        os.kill(served.pid, signal.SIGUSR1)
        wait_for((run.folder / "memory" / lingering_application.SERVING).exists, "memory of the application")


def _customer(site: Site, tenant: str, number: int) -> set[Secret]:
    email = f"{secrets.token_hex(12)}@{tenant}.example"
    notes = f"takes {secrets.token_hex(12)} in her tea"
    body = {"email": email, "born": "1815-12-10", "notes": notes, "plan": "gold"}
    made = site.ask("POST", "/customers", tenant, json=body)
    assert made.status_code == 201, made.text
    assert site.get(f"/customers/{made.json()['id']}", tenant).json()["notes"] == notes
    assert len(site.search(tenant, email).json()) == 1
    # What users get wrong is logged, too.
    assert site.ask("POST", "/customers", tenant, json=body | {"born": notes}).status_code == 422
    return {
        Secret("plaintext", f"e-mail {number} of {tenant}", email.encode()),
        Secret("plaintext", f"notes {number} of {tenant}", notes.encode()),
    }


def _turn_a_bit(settings: Settings) -> None:
    """Of one row's ciphertext."""
    with connect(application_database(settings, "customers")) as connection:
        connection.execute(
            "UPDATE customers SET notes = set_byte(notes, 60, get_byte(notes, 60) # 1) WHERE id = "
            "(SELECT min(id::text)::uuid FROM customers WHERE tenant_id = 'damaged')"
        )


def _collect(run: SentinelRun) -> None:
    """What exists now, before a later step destroys some of it."""
    kek = run.settings.keyring.kek
    keys = vault_keys(run.place, {kek, SIGNING})
    run.secrets |= {*vault_secrets(keys), *vault_values(run.place, {run.account.secret})}
    run.secrets |= set(tenant_secrets(run.settings, {name: key for name, key in keys.items() if name.startswith(kek)}))


@contextmanager
def _deployed(settings: Path, memories: Path) -> Generator[dict[str, Any]]:
    """The flows as deployments of the worker's pool, by name, as talkative as they can be told to be."""
    environment = {
        "STEWARD_SETTINGS": str(settings),
        lingering_flow.VARIABLE: str(memories),
        "PREFECT_LOGGING_LEVEL": "DEBUG",
        "PREFECT_LOGGING_EXTRA_LOGGERS": ",".join(lingering_flow.TALKATIVE),
        "PREFECT_LOGGING_LOG_PRINTS": "true",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "true",
    }
    made: dict[str, Any] = {}
    with get_client(sync_client=True) as client:
        try:
            for each in FLOWS:
                made[each.name] = client.create_deployment(
                    client.create_flow(each),
                    f"{each.name}-exposure",
                    entrypoint=f"{each.fn.__module__}.{each.fn.__name__}",
                    work_pool_name="steward",
                    job_variables={
                        "command": f"{sys.executable} -m {lingering_flow.__name__}",
                        "env": environment,
                    },
                )
            yield made
        finally:
            for each in made.values():
                client.delete_deployment(each)


def _run_side_by_side(run: SentinelRun, deployments: dict[str, Any], parameters: dict[str, dict[str, Any]]) -> None:
    with get_client(sync_client=True) as client:
        for name, given in parameters.items():
            started = client.create_flow_run_from_deployment(deployments[name], parameters=given)
            run.runs[name] = started.id
    for name in parameters:
        # Its very last act: until then it may log. Looked for before the server is asked, which tells it at more cost.
        wait_for((run.folder / "memory" / f"{run.runs[name]}.memory").exists, f"memory of {name}")
        ended(run.runs[name])
        wait_for(lambda name=name: _events(run, name), f"event of the end of {name}")


def _events(run: SentinelRun, flow: str) -> list[tuple]:
    """Those of its end: Prefect's server writes events seconds after they came, in their order."""
    return run.ask_prefect(
        "SELECT 1 FROM events WHERE resource_id = %s AND event IN ('prefect.flow-run.Failed', 'prefect.flow-run.Completed')",
        f"prefect.flow-run.{run.runs[flow]}",
    )
