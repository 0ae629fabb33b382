"""What the keyring answers instead of what was asked."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from psycopg import errors as pg

from steward.errors import StewardError
from steward.fieldcrypt.errors import TenantErased, TenantUnknown

#: The bound of the column.
_MOST_BYTES = 255


class KeyringRefused(StewardError):
    """The keyring does not do this to a key: it would be lost, or used too early."""


@contextmanager
def refusals() -> Generator[None]:
    """What the database's own rules refuse, in its words."""
    try:
        yield
    except (pg.RaiseException, pg.IntegrityError) as error:
        # The primary message alone: the detail quotes the row.
        raise KeyringRefused(
            f"the keyring refuses: {error.diag.message_primary}",
            hint="see the tenant's generations, and docs/keyring.md for the states they go through",
        ) from None


def possible(tenant: str) -> str:
    """*tenant*, if the keyring could hold it at all."""
    size = len(tenant.encode("utf-8", "surrogatepass"))
    if not 0 < size <= _MOST_BYTES or "\0" in tenant or any("\ud800" <= letter <= "\udfff" for letter in tenant):
        raise TenantUnknown(
            f"{tenant[:40]!r} is no name of a tenant", hint="expected 1 to 255 bytes of UTF-8 without a NUL"
        )
    return tenant


def unknown(tenant: str) -> TenantUnknown:
    return TenantUnknown(
        f"the keyring has no tenant {tenant!r}", hint=f"enrol it once: python -m steward keyring enrol {tenant}"
    )


def erased(tenant: str) -> TenantErased:
    return TenantErased(
        f"the keys of tenant {tenant!r} were erased",
        hint="on purpose, for ever: a tenant that comes back gets a new name",
    )
