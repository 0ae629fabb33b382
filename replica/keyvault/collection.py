"""What keys and secrets have in common: listings, soft delete, backup. Each kind says how its versions are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from replica.keyvault import contract
from replica.keyvault.contract import encode, require_bytes
from replica.keyvault.operations import Answer, Request
from replica.keyvault.records import Deleted, Kind, Version

Show = Callable[[Request, Version], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Collection:
    """The common operations of one kind. Its handlers are bound methods: `Operation(…, handler=collection.delete)`."""

    kind: Kind
    bundle: Show
    """A version as the answer about one object shows it, without a secret's value."""
    item: Show
    """A version as a listing shows it, with the identifier of the object (`id`, or `kid` for keys) and its attributes."""
    versioned: str
    """The field in which `item` holds the identifier: `id` or `kid`."""

    def list_objects(self, request: Request) -> Answer:
        """GET /{kind}s: the newest version of each, under the object's own identifier."""
        with request.vault.store.reading(self.kind) as objects:
            return contract.page(
                request.base,
                request.path,
                request.query,
                objects.page,
                lambda version: (version.name, self._bare(request, version)),
            )

    def list_versions(self, request: Request) -> Answer:
        """GET /{kind}s/{name}/versions; empty for an unknown name, as in Azure."""
        with request.vault.store.reading(self.kind) as objects:
            return contract.page(
                request.base,
                request.path,
                request.query,
                lambda after, most: objects.page_of_versions(request.name, after, most),
                lambda version: (version.version, self.item(request, version)),
            )

    def list_deleted(self, request: Request) -> Answer:
        """GET /deleted{kind}s."""
        with request.vault.store.reading(self.kind) as objects:
            return contract.page(
                request.base,
                request.path,
                request.query,
                objects.page_of_deleted,
                lambda deleted: (
                    deleted.version.name,
                    self._gone(request, deleted, self._bare(request, deleted.version)),
                ),
            )

    def get_deleted(self, request: Request) -> Answer:
        """GET /deleted{kind}s/{name}; 404 while the deletion is coming through."""
        with request.vault.store.reading(self.kind) as objects:
            deleted = objects.deleted(request.name)
        return self._gone(request, deleted, self.bundle(request, deleted.version))

    def delete(self, request: Request) -> Answer:
        """DELETE /{kind}s/{name}: all versions, to be recovered or purged."""
        with request.vault.store.writing(self.kind) as objects:
            deleted = objects.delete(request.name, request.vault.retention_days)
        return self._gone(request, deleted, self.bundle(request, deleted.version))

    def recover(self, request: Request) -> Answer:
        """POST /deleted{kind}s/{name}/recover."""
        with request.vault.store.writing(self.kind) as objects:
            version = objects.recover(request.name)
        return self.bundle(request, version)

    def purge(self, request: Request) -> Answer:
        """DELETE /deleted{kind}s/{name}: for good."""
        with request.vault.store.writing(self.kind) as objects:
            objects.purge(request.name)

    def backup(self, request: Request) -> Answer:
        """POST /{kind}s/{name}/backup: every version, sealed."""
        with request.vault.store.reading(self.kind) as objects:
            history = objects.history(request.name)
        return {"value": encode(request.vault.seal.close(history))}

    def restore(self, request: Request) -> Answer:
        """POST /{kind}s/restore: under its old name, with its old versions' identifiers."""
        history = request.vault.seal.open(self.kind, require_bytes(request.body, "value"))
        with request.vault.store.writing(self.kind) as objects:
            version = objects.restore(history)
        return self.bundle(request, version)

    def _bare(self, request: Request, version: Version) -> dict[str, Any]:
        bare = contract.identifier(request.base, version, bare=True)
        return {**self.item(request, version), self.versioned: bare}

    def _gone(self, request: Request, deleted: Deleted, shown: Mapping[str, Any]) -> dict[str, Any]:
        return {**shown, **contract.show_deletion(request.base, deleted.version, deleted.deletion)}
