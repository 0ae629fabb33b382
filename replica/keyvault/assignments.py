"""Who has which role at the vault, as `az role assignment list --scope VAULT --include-inherited -o json` prints it.

The vault's data plane does not tell this, here as in Azure. Source of the form: the command's reference,
https://learn.microsoft.com/cli/azure/role/assignment.
"""

from __future__ import annotations

import uuid
from typing import Any

from replica.keyvault.configuration import Configuration

_DEFINITIONS = uuid.uuid5(uuid.NAMESPACE_DNS, "role-definitions.replica.steward.invalid")


def assignments(configuration: Configuration) -> list[dict[str, Any]]:
    """One entry for each role of each principal, at the vault's own scope."""
    return [
        _assignment(configuration, principal.object_id, principal.client_id, role)
        for principal in configuration.principals
        for role in principal.roles
    ]


def _assignment(configuration: Configuration, object_id: str, client_id: str, role: str) -> dict[str, Any]:
    # No secrets, so named by what they say: the same in every replica.
    definition = uuid.uuid5(_DEFINITIONS, role)
    name = str(uuid.uuid5(definition, f"{configuration.resource} {object_id}"))
    authorization = "providers/Microsoft.Authorization"
    return {
        "condition": None,
        "conditionVersion": None,
        "delegatedManagedIdentityResourceId": None,
        "description": None,
        "id": f"{configuration.resource}/{authorization}/roleAssignments/{name}",
        "name": name,
        "principalId": object_id,
        # For an application Azure names its client id.
        "principalName": client_id,
        "principalType": "ServicePrincipal",
        "resourceGroup": configuration.resource_group,
        "roleDefinitionId": f"/subscriptions/{configuration.subscription}/{authorization}/roleDefinitions/{definition}",
        "roleDefinitionName": role,
        "scope": configuration.resource,
        "type": "Microsoft.Authorization/roleAssignments",
    }
