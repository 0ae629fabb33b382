"""Ground for flows over AI providers: twins, a database of its own, and a settings file that names both."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import tomli_w

from replica import inventory
from replica.server import Place
from steward.migrations.apply import migrate
from steward.settings import Settings, load
from tests.integration.fresh_database import changed, fresh_database
from tests.integration.providers.accounts import with_accounts
from tests.testbed.providers.ground import Twins

# Auditors know the key of the replica's vault, and a fresh database has a log of its own.
_WITHOUT = ("checkpoint_key", "checkpoint_public_keys")


@contextmanager
def provider_ground(replica: Place, twins: Twins) -> Generator[Settings]:
    """Settings with both accounts and an empty ledger, whose leases a test can wait for."""
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        hurried = changed(fresh, "operations", lease_seconds=2, heartbeat_seconds=0.5)
        yield with_accounts(hurried.model_copy(update={"gateway": None}), twins)


def written(settings: Settings, folder: Path) -> Path:
    """As a file that STEWARD_SETTINGS can name."""
    told = settings.model_dump(mode="json", exclude_none=True)
    for name in _WITHOUT:
        told["evidence"].pop(name, None)
    path = folder / "settings.toml"
    path.write_text(tomli_w.dumps(told))
    return path
