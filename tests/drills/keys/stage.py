"""Lanes: each a small replica of its own, so that cases run side by side and a server's fault meets one."""

import os
import secrets
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomli_w

from replica import faults, inventory, start
from replica.server import Place
from replica.servers import SERVERS
from replica.servers.keyvault import client_id, client_secret
from steward.clients import tenantkeys
from steward.clients.keyvault_versions import open_versions
from steward.settings import load
from tests.conftest import _PREFIX, _remove
from tests.drills.keys import cases, databases
from tests.drills.keys.ground import Ground
from tests.drills.keys.throttling import once_it_does_not_throttle, throttle
from tests.integration.fresh_database import changed

PLATFORM = ["postgres", "keyvault", "s3"]
#: Shorter than production's, so that a drill waits less for the dead; the order of things is the same.
TERMS = {"lease_seconds": 4.0, "heartbeat_seconds": 1.0}
#: How often the application's processes ask what has changed.
FOLLOW_SECONDS = 0.4


@dataclass
class Lane:
    """A replica, and the environment of processes whose runs another one's Prefect server records."""

    place: Place
    environment: dict
    folder: Path

    @property
    def settings(self):
        return load(inventory.settings_file(self.place))

    @property
    def administrator(self):
        """Of the vault."""
        secret = self.place.secret_ref(client_secret("administrator"))
        return self.settings.vault.model_copy(update={"client_id": client_id("administrator"), "client_secret": secret})

    @contextmanager
    def ground(self, case):
        """Databases, a key of the vault, tenants with keys and rows: as fresh as on the first day."""
        name = f"drill_{case.number}_{secrets.token_hex(3)}"
        ground = Ground(self, case, *self._settings(name))
        try:
            databases.copy_templates(self.settings, name)
            with open_versions(self.administrator) as vault:
                kek = ground.settings.keyring.kek
                once_it_does_not_throttle(lambda: vault.new_version(kek, {"made-by": "the drill"}))
            ground.seed()
            yield ground
        finally:
            ground.end()
            self.mend()
            databases.drop(self.settings, name)

    def _settings(self, name):
        """(settings of the case, their file)."""
        settings = changed(databases.named(self.settings, name, **TERMS), "keyring", kek=name.replace("_", "-"))
        file = self.folder / name / "settings.toml"
        file.parent.mkdir()
        file.write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))
        return settings, file

    @contextmanager
    def outage(self, server, how):
        """The server is away, or throttles, as long as the block lasts, at least."""
        if how == cases.KILLED:
            faults.kill(self.place.state, server)
        elif how == cases.FROZEN:
            faults.freeze(self.place.state, server)
        else:
            throttle(self.place)
        try:
            yield
        finally:
            if how == cases.KILLED:
                self.mend()
            elif how == cases.FROZEN:
                faults.thaw(self.place.state, server)

    def mend(self):
        """Every server up and answering."""
        start.up(self.place.state, SERVERS, PLATFORM, say=lambda _: None)


@contextmanager
def staged(prefect, count):
    """*count* lanes, whose runs are recorded by the Prefect server of the replica *prefect*."""
    environment, folders = inventory.environment(prefect), [_folder() for _ in range(count)]
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(count) as pool:
        patch.setattr(tenantkeys, "FOLLOW_SECONDS", FOLLOW_SECONDS)
        try:
            lanes = [Lane(place, environment, place.state.parent) for place in pool.map(_replica, folders)]
            for lane in lanes:
                databases.lay_templates(lane.settings)
            yield lanes
        finally:
            list(pool.map(_remove, folders))


def _folder():
    # Beside those of test runs: what a killed drill leaves is ended by the next run of any test.
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    folder.chmod(0o711)
    return folder


def _replica(folder):
    return start.up(folder / "replica", SERVERS, PLATFORM, say=lambda _: None)
