"""Where a cluster's roles live: in a file on each node, or behind the security API.

Both keep roles that are not ours as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from steward.search.requests import Requests
from steward.search.roles import Role
from steward.search.rolesfile import RolesFile

Descriptor = dict[str, Any]


class RoleStore(Protocol):
    """The places that hold roles, each of which must hold the same ones of ours."""

    def read(self) -> dict[str, dict[str, Descriptor]]:
        """Place → role's name → descriptor in canonical form. Roles of other hands are among them."""
        ...

    def put(self, roles: Mapping[str, Role]) -> None:
        """Make each of *roles* be as given in every place. Repeating it changes nothing."""
        ...


class FileRoles:
    """One `roles.yml` a node. A node reads a changed file again within 5 s, and keeps the old roles if it is broken."""

    def __init__(self, files: Sequence[Path]) -> None:
        self._files = [RolesFile(path) for path in files]

    def read(self) -> dict[str, dict[str, Descriptor]]:
        return {str(file.path): _canonical_all(file.read()) for file in self._files}

    def put(self, roles: Mapping[str, Role]) -> None:
        for file in self._files:
            file.put(roles)


class ApiRoles:
    """The security API, which keeps roles in the cluster's own index."""

    PLACE = "security API"

    def __init__(self, client: Requests) -> None:
        self._client = client

    def read(self) -> dict[str, dict[str, Descriptor]]:
        return {self.PLACE: _canonical_all(self._client.request("GET", "/_security/role"))}

    def put(self, roles: Mapping[str, Role]) -> None:
        for name, role in roles.items():
            self._client.request("PUT", f"/_security/role/{name}", role.body())


def _canonical_all(descriptors: Mapping[str, Any]) -> dict[str, Descriptor]:
    return {name: canonical(descriptor) for name, descriptor in descriptors.items()}


def canonical(descriptor: Any) -> Descriptor:
    """*descriptor* without what says nothing: order, single names outside a list, empty parts, the API's own marks.

    Parts that grant something and are not ours (run_as, applications, field security) stay, and so show as differences.
    """
    parts: Mapping[str, Any] = descriptor or {}
    rest = {key: value for key, value in parts.items() if key not in _COMPARED and value and key != _API_MARK}
    grants = [_grant(grant) for grant in parts.get("indices") or ()]
    return rest | {"cluster": _names(parts.get("cluster")), "indices": sorted(grants, key=_by_names)}


_COMPARED = ("cluster", "indices")
_API_MARK = "transient_metadata"


def _grant(grant: Mapping[str, Any]) -> Descriptor:
    return {key: _names(value) if key in ("names", "privileges") else value for key, value in grant.items() if value}


def _names(value: str | Iterable[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else sorted(set(value or ()))


def _by_names(grant: Descriptor) -> list[str]:
    return grant.get("names", [])
