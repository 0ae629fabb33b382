"""Every operation that the vault knows."""

from __future__ import annotations

from replica.keyvault import keys, secrets
from replica.keyvault.operations import Operation

OPERATIONS: tuple[Operation, ...] = (*keys.OPERATIONS, *secrets.OPERATIONS)
