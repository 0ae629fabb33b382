from __future__ import annotations

import itertools

import yaml

from steward.search.roles import (
    api_roles,
    bootstrap_roles,
    production_roles,
    recovery_roles,
    roles_file,
    scratch_roles,
)
from steward.search.rolestores import canonical

ALL_POWER = {"all", "superuser", "manage_security", "manage", "*", "cluster:*", "write_security"}


def privileges(role) -> set[str]:
    return set(itertools.chain.from_iterable(grant.privileges for grant in role.indices))


def test_no_role_is_given_all_power():
    standing = (*production_roles().values(), *scratch_roles().values(), *bootstrap_roles().values())
    for role in (*standing, *recovery_roles().values()):
        assert not ALL_POWER & set(role.cluster)
        assert "all" not in privileges(role)


def test_only_tenants_write_documents():
    roles = production_roles() | scratch_roles() | recovery_roles()
    writers = {name for name, role in roles.items() if privileges(role) & {"write", "index", "create", "delete", "all"}}
    assert writers == {"steward_tenants"}


def test_nobody_may_restore_where_tenants_live():
    assert not any("restore" in privilege for role in production_roles().values() for privilege in role.cluster)


def test_who_recovers_reaches_tenants_and_what_is_restored_beside_them():
    [role] = recovery_roles().values()
    assert {name for grant in role.indices for name in grant.names} == {"tenant-*", "recovered-*"}


def test_production_grants_reach_tenants_only():
    for role in production_roles().values():
        assert {name for grant in role.indices for name in grant.names} == {"tenant-*"}


def test_whoever_keeps_roles_by_api_cannot_widen_its_own():
    assert set(api_roles()) == set(production_roles()) - {"steward_provision"}
    writes_roles = [
        privilege for privilege in bootstrap_roles()["steward_provision"].cluster if "role/put" in privilege
    ]
    assert writes_roles
    assert not any("role/put" in privilege for role in production_roles().values() for privilege in role.cluster)


def test_a_roles_file_holds_every_role_as_described():
    written = yaml.safe_load(roles_file(production_roles()))
    assert written == {name: role.body() for name, role in production_roles().items()}


def test_order_single_names_and_empty_parts_make_no_difference():
    one = {"cluster": "monitor", "indices": [{"names": "a", "privileges": ["write", "read"]}], "run_as": []}
    other = {
        "cluster": ["monitor"],
        "indices": [{"names": ["a"], "privileges": ["read", "write"], "allow_restricted_indices": False}],
        "applications": [],
        "metadata": {},
        "transient_metadata": {"enabled": True},
    }
    assert canonical(one) == canonical(other)


def test_what_widens_a_role_shows():
    plain = {"cluster": ["monitor"], "indices": [{"names": ["a"], "privileges": ["read"]}]}
    for wider in (
        plain | {"run_as": ["elastic"]},
        plain | {"indices": [*plain["indices"], {"names": ["*"], "privileges": ["read"]}]},
        plain | {"indices": [plain["indices"][0] | {"allow_restricted_indices": True}]},
    ):
        assert canonical(wider) != canonical(plain)


def test_only_where_copies_are_restored_may_a_repository_be_taken_away():
    assert "cluster:admin/repository/delete" in scratch_roles()["steward_restore"].cluster
    for role in production_roles().values():
        assert "cluster:admin/repository/delete" not in role.cluster
