"""What encrypting a field costs beside other libraries, what a cold tenant costs, and what a whole request feels of it.

    python -m bench.fieldcrypt [--only speed cold request] [--rounds N] [--calls N] [--tenants N] [--pairs N]

Real servers of its own: the keyring's PostgreSQL and the Key Vault stand-in, over TLS, with Azure's limits. Rivals run in
an environment and a process of their own, in turns with ours. Progress goes to standard error; the last line of standard
output is JSON. One value is 256 random bytes, each of 64 rows has its own and is bound to tenant, table, field and row;
microseconds are processor time, medians of rounds, each the mean of its calls:

    encrypt_us, decrypt_us   FieldCipher with the tenant's keys in memory: a key for each record, key commitment
    sum_us                   both together; goal: at most 12
    overhead_bytes           ciphertext less plaintext; goal: 70
    raw_aesgcm_us            encryption and decryption together, by AES-256-GCM alone with one key for all and the
                             associated data made beforehand: the floor
    tink_us                  the same by Tink, AES256_GCM
    fernet_us                the same by Fernet, which can bind a value to nothing
    aws_esdk_cached_us       the same by the AWS Encryption SDK, every row's data key in its cache, committing, unsigned
    aws_esdk_us              without the cache, with a wrapping key in memory: its cost is none of a key service
    <rival>_encrypt_us, <rival>_decrypt_us, <rival>_overhead_bytes    of each
    times_as_long_as_ours    each rival's sum over ours of the same turn, the median
    text_us                  both together by FieldCipher, for a str of 256 characters
    blind_index_us           one blind index of a str
    keys_in_memory_us        of all that, finding the tenant's keys in memory
    cold_tenant_ms           p50 and p95 from asking for a tenant that is not in memory until its keys are: a query of
                             the keyring and an unwrap (RSA 3072) by the vault, one tenant at a time, connections open
    warm_tenants_per_second  the same for many tenants at once, with the concurrency that TenantKeys has by default
    vault_limit_per_second   what one vault with a software key of RSA 3072 allows in the long run, as Azure publishes;
                             a burst may be ten seconds' worth
    memory_per_tenant_bytes  what a process grows by for each tenant in memory, one field in use
    request_overhead_percent what encrypted columns add to a whole request of an application; goal: below 5. This and
                             the other figures request_… and bare_request_… are explained in bench/fieldcrypt_request.py
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from bench.fieldcrypt_cold import enrol, measure_cold, tenant_keys
from bench.fieldcrypt_loops import TENANT
from bench.fieldcrypt_memory import memory_per_tenant
from bench.fieldcrypt_request import measure_request
from bench.fieldcrypt_speed import measure_speed
from bench.goals import conclude
from bench.ground import Ground
from steward.migrations.apply import migrate_keyring

PLATFORM = ("postgres", "keyvault")
PARTS = ("speed", "cold", "request")
GOALS = {"sum_us": 12.0, "overhead_bytes": 70, "request_overhead_percent": 5.0}


def measure(at: Ground, options: argparse.Namespace) -> dict[str, Any]:
    """The figures of the parts that were asked for."""
    migrate_keyring(at.settings)
    told: dict[str, Any] = {}
    if "speed" in options.only:
        enrol(at, [TENANT])
        with tenant_keys(at) as keys:
            told |= measure_speed(keys, options.rounds, options.calls)
        told |= {"memory_per_tenant_bytes": memory_per_tenant()}
    if "cold" in options.only:
        told |= measure_cold(at, options.tenants)
    if "request" in options.only:
        told |= measure_request(at, options.pairs)
    return told


def main(arguments: list[str]) -> int:
    """As `conclude` says."""
    options = _parser().parse_args(arguments)
    return conclude(PLATFORM, lambda at: measure(at, options), GOALS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.fieldcrypt", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to run (default: all)")
    parser.add_argument("--rounds", type=int, default=30, help="of all contenders, of which the median")
    parser.add_argument("--calls", type=int, default=1000, help="encryptions and decryptions a round")
    parser.add_argument("--pairs", type=int, default=1000, help="of requests of each kind")
    parser.add_argument("--tenants", type=int, default=400, help="cold ones, enrolled for it")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
