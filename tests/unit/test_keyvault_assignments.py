"""What the replica exports of its vault's roles has the form of Azure's own export, and is what an audit reads."""

from __future__ import annotations

import json

from replica.keyvault.assignments import assignments
from replica.keyvault.configuration import Configuration, Principal
from steward.keys.audit_sources import read_assignments

VAULT = Configuration(
    folder="/nowhere",
    vault_port=1,
    login_port=2,
    certificate="",
    certificate_key="",
    tenant="tenant",
    subscription="subscription",
    principals=[
        Principal("steward", "client-1", "object-1", "", ["Steward Rotator", "Key Vault Secrets User"]),
        Principal("nobody", "client-2", "object-2", ""),
    ],
)
#: As the reference of `az role assignment list` shows an entry; what an unconditional one has null is there too.
FORM = {
    "condition",
    "conditionVersion",
    "delegatedManagedIdentityResourceId",
    "description",
    "id",
    "name",
    "principalId",
    "principalName",
    "principalType",
    "resourceGroup",
    "roleDefinitionId",
    "roleDefinitionName",
    "scope",
    "type",
}


def test_each_role_of_each_principal_is_one_assignment_of_the_form_and_the_same_each_time(tmp_path):
    exported = assignments(VAULT)
    assert all(set(each) == FORM for each in exported)
    assert len({each["id"] for each in exported}) == len(exported) == 2
    assert exported == assignments(VAULT)
    path = tmp_path / "assignments.json"
    path.write_text(json.dumps(exported))
    read = read_assignments(path).assignments
    assert [(each.principal_id, each.principal, each.role) for each in read] == [
        ("object-1", "client-1", "Steward Rotator"),
        ("object-1", "client-1", "Key Vault Secrets User"),
    ]
    assert {each.scope for each in read} == {VAULT.resource}
