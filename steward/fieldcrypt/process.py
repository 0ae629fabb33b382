"""What holds for a whole process or request: where keys come from, and whose fields are meant."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

from steward.fieldcrypt.errors import KeysNotInstalled, TenantNotBound
from steward.fieldcrypt.keyset import Keys

_installed: list[Keys] = []
_tenant: ContextVar[str | None] = ContextVar("steward_tenant", default=None)


def install(keys: Keys) -> None:
    """Let *keys* be those of this process, once at its start: what `FieldCipher(tenant)` uses."""
    _installed[:] = [keys]


def installed() -> Keys:
    """The keys of this process. Raises KeysNotInstalled."""
    if not _installed:
        raise KeysNotInstalled(
            "no tenant keys are installed in this process",
            hint="call steward.fieldcrypt.install(open_tenant_keys(…)) at its start, or pass keys=…",
        )
    return _installed[0]


@contextmanager
def bound(tenant: str) -> Generator[None]:
    """Let encrypted attributes mean *tenant*'s in this block; threads and tasks begun in it inherit or copy it."""
    token = _tenant.set(tenant)
    try:
        yield
    finally:
        _tenant.reset(token)


def bound_tenant() -> str:
    """The tenant that is bound here. Raises TenantNotBound."""
    tenant = _tenant.get()
    if tenant is None:
        raise TenantNotBound(
            "an encrypted field was used where no tenant is bound",
            hint="requests: add the TenantMiddleware; jobs: `with steward.fieldcrypt.bound(tenant): …`",
        )
    return tenant
