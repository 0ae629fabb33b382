"""The shipped policy is usable and fits the replica; a policy with a fault is refused by the fault's name."""

from __future__ import annotations

import re
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from replica.servers import keyvault
from steward.errors import BadInput
from steward.keys.audit_facts import Secret, Sources, Unread, Use, VaultFacts, Version
from steward.keys.audit_findings import Finding, age
from steward.keys.audit_policy import load_policy
from steward.keys.audit_principals import principal_of
from steward.keys.audit_report import Check, Judgement, compare
from steward.keys.audit_report import judge as judged
from steward.keys.audit_vault import check_vault
from steward.verdicts import Verdict

SHIPPED = Path(__file__).parents[2] / "deployments" / "keys" / "policy.toml"
NOW = datetime(2026, 11, 26, tzinfo=UTC)


def test_the_shipped_policy_names_the_replicas_principals_with_the_roles_that_they_have():
    policy = load_policy(SHIPPED)
    assert {each.name: set(each.roles) for each in policy.principal} == {
        name: set(roles) for name, roles in keyvault.PRINCIPALS.items()
    }
    assert all(each.client_id == keyvault.client_id(each.name) for each in policy.principal)
    assert keyvault.KEK in {rule.name for rule in policy.key}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("curent_days = 3", "curent_days"),
        ('[[principal]]\nname = "steward"\nobject_id = "x"\nroles = ["y"]', "principal steward stands there twice"),
        ("[vault_log]\ndays = 0", "vault_log"),
        ("= 3", "not TOML"),
    ],
)
def test_a_faulty_policy_is_refused_by_name(tmp_path, change, named):
    text = SHIPPED.read_text()
    text = text.replace(text[text.index("[vault_log]") : text.index("[backups]")], "")
    path = tmp_path / "policy.toml"
    path.write_text(change + "\n" + text if change.startswith(("curent", "=")) else text + "\n" + change)
    with pytest.raises(BadInput) as refused:
        load_policy(path)
    assert named in refused.value.message
    assert str(path) in refused.value.message


def test_a_policy_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(BadInput, match=r"no-policy\.toml"):
        load_policy(tmp_path / "no-policy.toml")


def test_the_first_rule_that_fits_a_secrets_name_counts():
    policy = load_policy(SHIPPED)
    assert policy.rule_of("provider-models").must_expire
    assert not policy.rule_of("postgres").must_expire


def test_no_check_at_all_is_unknown_and_never_green():
    assert Judgement((), (), ()).verdict is Verdict.UNKNOWN
    left_out = Check(name="use of the vault", verdict=None)
    assert Judgement((left_out,), (), ()).verdict is Verdict.UNKNOWN


def test_nothing_that_could_be_read_is_unknown_with_each_source_named():
    away = {
        name: Unread(source=name, reason="silent", hint="") for name in ("vault", "keyring", "access", "assignments")
    }
    judgement = judged(load_policy(SHIPPED), Sources(**away, log=None, backups=None), NOW)
    assert judgement.verdict is Verdict.UNKNOWN
    assert [each.subject for each in judgement.findings] == list(away)
    assert len(judgement.checks) == 5


def test_a_finding_keeps_its_name_as_days_go_by():
    old = Version(version="v", enabled=True, created_at=NOW - timedelta(days=400), expires_at=NOW + timedelta(days=3))

    def found(now):
        facts = VaultFacts(
            read_at=now,
            vault="https://vault",
            kek="tenants",
            listed_keys=(),
            secrets=(Secret(name="provider-models", versions=(old,)),),
        )
        return [each for each in check_vault(load_policy(SHIPPED), facts) if each.subject == "provider-models"]

    today, tomorrow = found(NOW), found(NOW + timedelta(days=1))
    assert [each.seen for each in today] != [each.seen for each in tomorrow]
    assert compare(tomorrow, {each.id for each in today}) == ((), ())


def test_what_is_new_and_what_is_gone_is_told_by_name():
    kept, new = (Finding(check="c", subject=name, seen="", expected="", hint="") for name in ("kept", "new"))
    assert compare([kept, new], {"c:kept", "c:gone"}) == (("c:new",), ("c:gone",))


def test_a_principal_is_known_by_all_its_ids_and_not_by_one_of_them():
    policy = load_policy(SHIPPED)
    steward = next(each for each in policy.principal if each.name == "steward")

    def known(*ids):
        return principal_of(policy, Use(principals=ids, operation="KeyGet", allowed=1, refused=0))

    assert known(steward.object_id, steward.client_id) == steward
    assert known(steward.object_id) == steward
    assert known(steward.object_id, "another-application") is None


@pytest.mark.parametrize(
    ("span", "told"),
    [
        (timedelta(days=36, hours=5), "36 days"),
        (timedelta(hours=47), "47 hours"),
        (timedelta(minutes=119), "119 minutes"),
        (timedelta(seconds=-5), "0 minutes"),
    ],
)
def test_ages_are_told_as_people_say_them(span, told):
    assert age(span) == told


def test_every_table_of_the_shipped_policy_is_explained_in_the_runbook():
    runbook = (SHIPPED.parents[2] / "docs" / "runbooks" / "audit-keys.md").read_text()
    written = tomllib.loads(SHIPPED.read_text())
    assert [table for table in written if f"`{table}`" not in runbook] == []


def test_every_kind_of_finding_is_in_the_runbook():
    root = SHIPPED.parents[2]
    source = "".join(path.read_text() for path in (root / "steward" / "keys").glob("audit_*.py"))
    kinds = set(re.findall(r'check="([a-z-]+)"', source))
    kinds |= {f"{what}-{kind}" for what in ("key", "secret") for kind in re.findall(r'f"\{what\}-([a-z-]+)"', source)}
    kinds |= {f"{what}-changed" for what in ("function", "trigger", "constraint")}
    assert len(kinds) > 40
    runbook = (root / "docs" / "runbooks" / "audit-keys.md").read_text()
    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in runbook] == []
