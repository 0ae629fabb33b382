"""What a tenant in memory takes: `python -m bench.fieldcrypt_memory N` loads N of them in a process of its own.

Keyring and vault are made up here, for the vault's limits would make ten thousand tenants a matter of minutes; what is
kept of their answers has the lengths of the real ones. The last line of standard output is JSON.
"""

from __future__ import annotations

import datetime as dt
import gc
import json
import subprocess
import sys

import psutil

from bench.fieldcrypt_loops import FIELD, TABLE
from steward.errors import StewardError
from steward.fieldcrypt import FieldCipher, masterkey
from steward.fieldcrypt.keyring import State, Wrap, WrappedGeneration, WrappedKeys
from steward.fieldcrypt.tenantkeys import TenantKeys

TENANTS = 8_000
#: RSA 3072.
_WRAPPED_BYTES = 384
_KEK = "https://steward.vault.azure.net/keys/tenants/{:032x}"


class MemoryUnmeasured(StewardError):
    """The process that was to be measured did not end well."""


class MadeUpKeyring:
    """Every tenant is there, with one generation; its key id is the number that its name ends in."""

    def load(self, tenant: str) -> WrappedKeys:
        """Its one generation."""
        key_id = int(tenant.rpartition("-")[2])
        # One tenant's identifier is no other's object, as it comes from a database.
        wrap = Wrap(_KEK.format(1), key_id.to_bytes(4, "big") + bytes(_WRAPPED_BYTES - 4))
        generation = WrappedGeneration(key_id, 1, State.CURRENT, dt.datetime.now(dt.UTC), (wrap,))
        return WrappedKeys(tenant, 1, (generation,))


class MadeUpVault:
    """Unwraps what the made-up keyring has, to a key that nobody has seen."""

    def unwrap(self, kek: str, wrapped: bytes) -> bytes:  # noqa: ARG002  the Protocol's
        """As the real one would."""
        key_id = int.from_bytes(wrapped[:4], "big")
        return masterkey.seal(tenant_name(key_id), key_id, masterkey.new())


def tenant_name(number: int) -> str:
    """As long as names of tenants are."""
    return f"bench-tenant-{number:06}"


def growth(tenants: int) -> float:
    """Bytes of this process a tenant, each with the key of one field in use."""
    keys = TenantKeys(MadeUpKeyring(), MadeUpVault())
    _use(keys, range(1, 101))
    gc.collect()
    before = psutil.Process().memory_info().rss
    _use(keys, range(101, 101 + tenants))
    gc.collect()
    grown = psutil.Process().memory_info().rss - before
    keys.close()
    return grown / tenants


def _use(keys: TenantKeys, numbers: range) -> None:
    for number in numbers:
        FieldCipher(tenant_name(number), keys).encrypt(TABLE, FIELD, number, "x")


def memory_per_tenant(tenants: int = TENANTS) -> int:
    """Bytes, to the hundred, measured where nothing else was in memory before."""
    command = [sys.executable, "-m", "bench.fieldcrypt_memory", str(tenants)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MemoryUnmeasured(f"{command[1:]} ended with status {done.returncode}:\n{done.stderr[-2000:]}")
    return round(json.loads(done.stdout.splitlines()[-1]), -2)


if __name__ == "__main__":
    print(json.dumps(round(growth(int(sys.argv[1])))))
