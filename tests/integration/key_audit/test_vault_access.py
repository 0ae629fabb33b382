"""Roles at the vault that nobody listed, and strangers in its log, are named."""

from __future__ import annotations

import json
import os
import time
from datetime import timedelta

import pytest

from steward.clients.keyvault_errors import VaultForbidden
from steward.clients.vault_audit import read_vault
from steward.keys.audit_report import USE
from steward.keys.audit_sources import SourceUnreadable, read_assignments
from steward.verdicts import Verdict
from tests.integration.audit_ground import STEWARD
from tests.integration.described_vault import described

pytestmark = pytest.mark.without_search


def reassigned(ground, tmp_path, change):
    rows = json.loads(ground.settings.audit.role_assignments.read_text())
    path = tmp_path / "assignments.json"
    path.write_text(json.dumps(change(rows)))
    return read_assignments(path)


def test_an_extra_assignment_is_named_whoever_has_it(shared, tmp_path):
    stranger = {"principalId": "5d3c0d0c-0000-4000-8000-000000000001", "principalName": "eve@example.net"}

    def plant(rows):
        application = next(row for row in rows if row["roleDefinitionName"].endswith("Service Encryption User"))
        return [
            *rows,
            application | {"roleDefinitionName": "Key Vault Administrator"},
            application | stranger | {"roleDefinitionName": "Owner", "scope": "/subscriptions/1"},
        ]

    assert set(shared.found(assignments=reassigned(shared, tmp_path, plant))) == {
        "assignment-extra:application/Key Vault Administrator",
        f"assignment-stranger:{stranger['principalId']}/Owner",
    }


def test_a_missing_assignment_is_named(shared, tmp_path):
    without = reassigned(
        shared, tmp_path, lambda rows: [row for row in rows if row["roleDefinitionName"] != "Steward Rotator"]
    )
    assert set(shared.found(assignments=without)) == {f"assignment-missing:{STEWARD}/Steward Rotator"}


def test_an_export_that_is_old_absent_or_no_list_is_unknown_and_never_green(shared, tmp_path):
    path = tmp_path / "assignments.json"
    path.write_text(shared.settings.audit.role_assignments.read_text())
    three_days_ago = time.time() - 3 * 86_400
    os.utime(path, (three_days_ago, three_days_ago))
    judged = shared.judged(assignments=read_assignments(path))
    assert [(each.id, each.verdict) for each in judged.findings] == [("assignments-stale:vault", Verdict.UNKNOWN)]
    assert judged.verdict is Verdict.UNKNOWN
    for unusable in (None, tmp_path / "absent", path):
        path.write_text("[1]")
        with pytest.raises(SourceUnreadable) as refused:
            read_assignments(unusable)
        assert "az role assignment list" in refused.value.hint or "settings" in refused.value.hint


def test_the_vaults_log_names_strangers_even_where_refused_and_operations_that_nobody_expects(shared):
    before = set(shared.found("log"))
    with shared.vault.http(shared.vault.token("nobody")) as stranger:
        assert stranger.get("/keys").status_code == 403
    with shared.vault.http(shared.vault.token("application")) as application:
        assert application.post("/keys/tenants/create", json={"kty": "RSA"}).status_code == 403
    found = shared.found("log")
    (operation, named) = sorted(set(found) - before)
    assert operation == "log-operation:application/KeyCreate"
    assert named.startswith("log-stranger:")
    assert named.endswith("/KeyList")
    assert shared.vault.client_id("nobody") in named
    assert found[named].seen == "0 times allowed, 1 times refused"


def test_a_log_that_fell_silent_is_unknown_and_one_the_policy_leaves_out_is_told_as_not_asked(shared):
    log = shared.clean.log
    old = log.model_copy(update={"newest_at": log.newest_at - timedelta(hours=25)})
    assert [each.id for each in shared.judged(log=old).findings] == ["log-silent:vault"]
    left_out = shared.judged(log=None)
    assert left_out.not_asked == (USE,)
    assert left_out.verdict is Verdict.VERIFIED


def test_a_role_that_can_read_keys_alone_is_told_which_role_it_lacks(shared):
    with pytest.raises(VaultForbidden) as refused:
        read_vault(described(shared.vault, "application"), "tenants", ["tenants"])
    assert "read the rotation policy of key tenants" in refused.value.message
    assert "Key Vault Crypto Officer" in refused.value.hint
