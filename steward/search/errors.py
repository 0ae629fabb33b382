"""What stops the provisioning of a search cluster."""

from __future__ import annotations

from steward.errors import BadInput


class BadTenantName(BadInput):
    """The name cannot be a tenant's; nothing has been touched."""

    def __init__(self, name: str, fault: str) -> None:
        super().__init__(
            f"bad tenant name {name[:60]!r}: {fault}",
            hint="use the form acme or acme-corp; the index, the alias and the role are named after it",
        )
        self.name = name
