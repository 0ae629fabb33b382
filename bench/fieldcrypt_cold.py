"""Tenants whose keys are not in memory: one at a time, and as many at once as TenantKeys loads by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from bench.ground import Ground, progress
from replica.keyvault.limits import WINDOW_SECONDS, key_other
from replica.servers.keyvault import client_id
from steward.clients.keyring import open_keyring
from steward.clients.keyvault import open_vault
from steward.clients.tenantkeys import open_tenant_keys
from steward.errors import StewardError
from steward.fieldcrypt.cachepolicy import CachePolicy
from steward.fieldcrypt.tenantkeys import TenantKeys
from steward.migrations.apply import READER
from steward.settings import Keyring, Vault

#: Not counted: the first loads open connections and log in.
WARM_UP = 20
_KEK = "RSA 3072"
_VAULT_LIMIT = key_other(_KEK, hsm=False).limit
#: Of many that ask at once the last one waits for all others.
_PATIENT = CachePolicy(load_seconds=120.0)
#: Two cores serve bench, vault and keyring alike.
_ENROLLERS = 2


class ColdUnmeasured(StewardError):
    """The vault would throttle what is to be measured, or the ground has no vault."""


def measure_cold(at: Ground, tenants: int) -> dict[str, Any]:
    """*tenants* of them, each loaded twice: alone, and with all others."""
    if 2 * tenants > _VAULT_LIMIT:
        raise ColdUnmeasured(
            f"{tenants} tenants would be throttled, and the wait measured; expected at most {_VAULT_LIMIT // 2}"
        )
    names = [f"bench-{number:04}" for number in range(tenants)]
    progress(f"enrolling {tenants} tenants")
    enrol(at, names)
    # So that the vault's window holds none of the enrolments any more.
    time.sleep(WINDOW_SECONDS)
    alone = _one_at_a_time(at, names)
    together = _all_at_once(at, names)
    progress(f"  cold: {median(alone):.1f} ms alone, {together:.0f} a second together")
    return {
        "cold_tenant_ms": {"p50": round(median(alone), 1), "p95": round(quantiles(alone, n=20)[-1], 1)},
        "warm_tenants_per_second": round(together),
        "vault_limit_per_second": round(_VAULT_LIMIT / WINDOW_SECONDS),
    }


def enrol(at: Ground, tenants: Sequence[str]) -> None:
    """Give each its first generation."""
    vault_settings, keyring_settings = _rotator(at)
    with (
        open_vault(vault_settings) as vault,
        open_keyring(keyring_settings) as keyring,
        ThreadPoolExecutor(_ENROLLERS) as pool,
    ):
        for _ in pool.map(lambda tenant: keyring.enrol(tenant, vault), tenants):
            pass


@contextmanager
def tenant_keys(at: Ground, policy: CachePolicy = _PATIENT) -> Generator[TenantKeys]:
    """As an application has them, with nothing in memory."""
    with open_tenant_keys(*_application(at), policy) as keys:
        yield keys


def _one_at_a_time(at: Ground, tenants: Sequence[str]) -> list[float]:
    """Milliseconds of each."""
    with tenant_keys(at) as keys:
        return [_milliseconds(keys, tenant) for tenant in tenants][WARM_UP:]


def _all_at_once(at: Ground, tenants: Sequence[str]) -> float:
    """Tenants a second, from the first question to the last answer."""
    with tenant_keys(at) as keys:
        asyncio.run(_ready(keys, tenants[:WARM_UP]))
        began = time.perf_counter()
        asyncio.run(_ready(keys, tenants[WARM_UP:]))
        return (len(tenants) - WARM_UP) / (time.perf_counter() - began)


async def _ready(keys: TenantKeys, tenants: Sequence[str]) -> None:
    await asyncio.gather(*(keys.ready(tenant) for tenant in tenants))


def _milliseconds(keys: TenantKeys, tenant: str) -> float:
    began = time.perf_counter()
    keys.of(tenant)
    return 1000 * (time.perf_counter() - began)


def _rotator(at: Ground) -> tuple[Vault, Keyring]:
    if at.settings.vault is None or at.settings.keyring is None:
        raise ColdUnmeasured("the settings have no [vault] or no [keyring]", hint="start postgres and keyvault")
    return at.settings.vault, at.settings.keyring


def _application(at: Ground) -> tuple[Vault, Keyring]:
    """The same servers for those who may only read wrapped keys and have them unwrapped."""
    vault, keyring = _rotator(at)
    identity = {"client_id": client_id("application"), "client_secret": _beside(vault.client_secret, "application")}
    reading = {
        "url": keyring.url.replace("//keyring@", f"//{READER}@"),
        "password": _beside(keyring.password, READER),
    }
    return vault.model_copy(update=identity), keyring.model_copy(update=reading)


def _beside(reference: str | None, user: str) -> str:
    """The replica keeps each user's secret in a file of its own, `SERVER.USER`."""
    file = Path((reference or "").removeprefix("file:"))
    return f"file:{file.with_name(file.name.split('.')[0] + '.' + user)}"
