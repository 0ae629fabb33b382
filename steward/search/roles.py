"""Who may do what: the roles of every purpose, and of every tenant, as least privilege has them.

A role is what Elasticsearch calls a role descriptor. The same value becomes an entry of `roles.yml` (nodes whose roles
live in files) or the body of `PUT _security/role/<name>` (roles kept by the security API).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field

from steward.search.names import TenantName

ALL_TENANTS = "tenant-*"
#: Restored beside what tenants have, to be looked at.
RECOVERED = "recovered-*"


class IndexGrant(BaseModel):
    """Privileges on the indices and aliases that *names* match."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[str, ...] = Field(min_length=1)
    privileges: tuple[str, ...] = Field(min_length=1)


class Role(BaseModel):
    """A role descriptor, of the parts that are granted here: cluster privileges and index privileges."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cluster: tuple[str, ...] = ()
    indices: tuple[IndexGrant, ...] = ()

    def body(self) -> dict[str, Any]:
        """The body of `PUT _security/role/<name>`, and the value of an entry in `roles.yml`."""
        return self.model_dump(mode="json")


def production_roles() -> dict[str, Role]:
    """The roles of the cluster that serves tenants, by name, where roles live in each node's `roles.yml`."""
    return {
        "steward_monitoring": _MONITORING,
        "steward_provision": _PROVISION,
        "steward_snapshot": _SNAPSHOT,
        "steward_tenants": _TENANTS,
    }


def api_roles() -> dict[str, Role]:
    """The roles that provisioning keeps by the security API: all but its own, which it cannot widen."""
    return {name: role for name, role in production_roles().items() if name not in bootstrap_roles()}


def bootstrap_roles() -> dict[str, Role]:
    """What `roles.yml` holds where the other roles are kept by the security API: the provisioner's role alone.

    It may write roles there. Whoever may write a role may write a stronger one than its own, though not give it to a
    user, so this is granted only where roles do not live in files.
    """
    may_write = _PROVISION.model_copy(update={"cluster": _PROVISION.cluster + _WRITES_ROLES})
    return {"steward_provision": may_write}


def scratch_roles() -> dict[str, Role]:
    """The roles of the cluster that only ever holds restored copies, by name."""
    return {"steward_monitoring": _MONITORING, "steward_restore": _RESTORE}


def recovery_roles() -> dict[str, Role]:
    """What a person lends for as long as a recovery takes: no role that stands may restore where tenants live."""
    return {"steward_recovery": _RECOVERY}


def tenant_role(tenant: TenantName) -> Role:
    """What the application may do for one tenant: read and write its documents, by its alias or by its indices.

    The pattern of the indices is a regular expression, since the wildcard `tenant-acme-*` would also open the
    indices of a tenant called `acme-corp`.
    """
    names = (tenant.alias, f"/{re.escape(tenant.alias)}-[0-9]{{6}}/".replace(r"\-", "-"))
    return Role(indices=(IndexGrant(names=names, privileges=_TENANT_PRIVILEGES),))


def roles_file(roles: Mapping[str, Role]) -> str:
    """*roles* as entries of a `roles.yml`, in the order of their names."""
    return "\n".join(role_entry(name, roles[name]) for name in sorted(roles))


def role_entry(name: str, role: Role) -> str:
    """One role as a top-level entry of a `roles.yml`, ending in a newline."""
    return yaml.safe_dump({name: role.body()}, sort_keys=False, default_flow_style=False, width=120)


# `maintenance` is refresh, flush and merge: a document just written is made searchable.
_TENANT_PRIVILEGES = ("read", "write", "view_index_metadata", "maintenance")

_MONITORING = Role(
    cluster=("monitor", "cluster:admin/snapshot/get", "cluster:admin/repository/get"),
    indices=(IndexGrant(names=(ALL_TENANTS,), privileges=("monitor", "view_index_metadata")),),
)

# Nothing here writes a document, and nothing restores: a restore happens on the scratch cluster only.
_SNAPSHOT = Role(
    cluster=(
        "monitor",
        "create_snapshot",
        "cluster:admin/snapshot/delete",
        "cluster:admin/repository/get",
        "cluster:admin/repository/verify",
        "cluster:admin/component_template/get",
        "indices:admin/index_template/get",
        "indices:admin/template/get",
    ),
    indices=(IndexGrant(names=(ALL_TENANTS,), privileges=("read", "view_index_metadata", "monitor", "maintenance")),),
)

_TENANTS = Role(indices=(IndexGrant(names=(ALL_TENANTS,), privileges=_TENANT_PRIVILEGES),))

# Reads and writes no document, although it may delete an index: that is in `manage`, which putting an alias needs.
_PROVISION = Role(
    cluster=(
        "monitor",
        "manage_index_templates",
        "cluster:admin/repository/get",
        "cluster:admin/repository/put",
        "cluster:admin/repository/verify",
        "cluster:admin/settings/update",
    ),
    indices=(
        IndexGrant(names=(ALL_TENANTS,), privileges=("create_index", "manage", "view_index_metadata", "monitor")),
    ),
)
_WRITES_ROLES = ("cluster:admin/xpack/security/role/get", "cluster:admin/xpack/security/role/put")

# The nightly repository is registered there by whoever runs that cluster, read-only. Copies are registered by who proves
# them, under names of their own, and no right of Elasticsearch's tells names apart: so that nobody makes the nightly one
# writable from there, the scratch cluster's own keys to its bucket, or its mount of the folder, are to be read-only.
_RESTORE = Role(
    cluster=(
        "monitor",
        "cluster:admin/snapshot/get",
        "cluster:admin/snapshot/restore",
        "cluster:admin/repository/get",
        "cluster:admin/repository/verify",
        "cluster:admin/repository/put",
        "cluster:admin/repository/delete",
        # Templates are proved from the restored global state, which brings persistent settings along: both are
        # put back as they were.
        "manage_index_templates",
        "cluster:admin/settings/update",
    ),
    indices=(IndexGrant(names=("*",), privileges=("create_index", "manage", "read", "view_index_metadata")),),
)

# Registers what was fetched from the copy, restores it, and reads it to compare. `manage` is also what lets tenants write
# again once that is done; no document can be written by it.
_RECOVERY = Role(
    cluster=(
        "monitor",
        "cluster:admin/snapshot/get",
        "cluster:admin/snapshot/restore",
        "cluster:admin/repository/get",
        "cluster:admin/repository/put",
        "cluster:admin/repository/delete",
        "cluster:admin/repository/verify",
    ),
    indices=(
        IndexGrant(
            names=(ALL_TENANTS, RECOVERED), privileges=("create_index", "manage", "read", "view_index_metadata")
        ),
    ),
)
