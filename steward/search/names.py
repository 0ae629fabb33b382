"""What things of a tenant are called, and which names of tenants are refused."""

from __future__ import annotations

import re
from dataclasses import dataclass

from steward.search.errors import BadTenantName

PATTERN = r"^[a-z][a-z0-9-]{1,38}[a-z0-9]$"
"""The form of a tenant's name; the two rules below come on top."""

_GENERATION = re.compile(r"-[0-9]{6,}$")


@dataclass(frozen=True)
class TenantName:
    """A tenant's name that passed every rule; the names of what is the tenant's derive from it.

    Raises:
        BadTenantName: the name breaks a rule.
    """

    value: str

    def __post_init__(self) -> None:
        if fault := _fault(self.value):
            raise BadTenantName(self.value, fault)

    def __str__(self) -> str:
        return self.value

    @property
    def alias(self) -> str:
        """What the application reads and writes."""
        return f"tenant-{self.value}"

    @property
    def first_index(self) -> str:
        """The first of the indices behind the alias; a rollover counts on from it."""
        return f"{self.alias}-000001"

    @property
    def role(self) -> str:
        """The role that opens this tenant's documents and no other's."""
        return f"tenant_{self.value}"


def tenant_of(index: str) -> str:
    """The tenant whose index this is: `tenant-acme-000001` is acme's."""
    return _GENERATION.sub("", index).removeprefix("tenant-")


def _fault(name: str) -> str | None:
    if not re.fullmatch(PATTERN.strip("^$"), name):
        return "expected 3 to 40 of a-z, 0-9 and -, a letter first and no - last"
    if "--" in name:
        return "expected no two - in a row"
    if _GENERATION.search(name):
        # tenant-acme-000001 is an index of the tenant acme: as an alias of another tenant it would collide.
        return "expected no six digits after a last -, which is how the indices behind an alias are numbered"
    return None
