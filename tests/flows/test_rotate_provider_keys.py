"""A provider's key changed for another as a flow: probed before it is used, the old one revoked when nobody uses it."""

from __future__ import annotations

import asyncio
import inspect
from contextlib import asynccontextmanager

import pytest
from pydantic import ValidationError

import tasks.durable
import tasks.provider_key_retirement
import tasks.provider_keys
from flows.rotate_provider_keys import KeyRequest
from steward.ai.key_rotation import NewKey
from steward.ai.key_rotation_errors import NotRotatable, PoolEmpty, ProviderUnavailable
from steward.ai.keys import version_of
from steward.clients.attempts import AttemptLedger
from steward.clients.keyvault_errors import VaultUnavailable
from steward.clients.keyvault_secret_versions import VersionedSecrets
from steward.verdicts import Verdict
from tests.flows.prefect_server import artifact
from tests.flows.provider_keys_ground import ground, laid, soon
from tests.flows.provider_keys_load import load_of
from tests.integration.attempts_ground import asked
from tests.integration.closed_doors import closed_port

pytestmark = pytest.mark.without_search

__all__ = ["ground", "laid"]


def test_both_providers_keys_change_under_load_without_a_failed_request_and_the_old_ones_are_refused(
    ground, tmp_path, monkeypatch
):
    accounts = [ground.account("openai"), ground.account("anthropic")]
    with ground.vault() as vault:
        before = [vault.version(each.secret).version for each in accounts]
    with load_of(ground, accounts, tmp_path, monkeypatch) as load:
        reports = [ground.run(each) for each in accounts]
        load.more(20)
    assert [each.verdict for each in reports] == [Verdict.VERIFIED] * 2
    assert load.failed == []
    assert all(report.begun.workers == ("tests",) for report in reports)
    assert all(report.facts.proof.attempts > 0 for report in reports)
    for account, report, version in zip(accounts, reports, before, strict=True):
        new, (old,) = report.facts.new, report.begun.old
        assert load.versions(account) == {report.begun.fingerprint, new.fingerprint}
        assert (report.facts.revoked, ground.in_use(account)) == ((old.id,), new.id)
        assert old.id not in ground.living(account)
        assert ground.put_aside(account) == [
            f"{account.secret}-pool-{number}" for number in range(1, len(account.pool))
        ]
        with ground.vault() as vault, pytest.raises(Exception, match="disabled"):
            vault.version(account.secret, version)
        (told,) = ground.statements(account)
        assert (told.verdict, told.figures["revoked"], told.figures["attempts_refused"]) == ("VERIFIED", [old.id], 0)
    assert ground.made(accounts[0]) == [reports[0].facts.new.id]
    assert (reports[1].facts.new.pool_left, ground.pool(accounts[1])) == (
        2,
        dict.fromkeys(accounts[1].pool[1:], "available"),
    )
    assert "verdict: VERIFIED" in artifact("provider-keys")


@asynccontextmanager
async def worker(ground, told, name="gateway-late"):
    async with AttemptLedger(ground.settings, name, credentials=lambda: told) as ledger:
        yield ledger


def test_while_a_worker_uses_the_old_key_nothing_is_revoked_and_the_next_rotation_revokes_both(ground):
    account = ground.account("openai")
    with ground.vault() as vault:
        old = vault.version(account.secret)

    async def lagging():
        async with worker(ground, {account.name: version_of(old.value)}):
            return await asyncio.to_thread(ground.refused, account, wait_seconds=0)

    report = asyncio.run(lagging())
    assert (report.verdict, report.facts.revoked) == (Verdict.UNKNOWN, None)
    assert "gateway-late" in report.findings[0]
    first = report.begun.old[0].id
    assert {first, report.facts.new.id} <= set(ground.living(account))
    assert ground.in_use(account) == report.facts.new.id

    again = ground.run(account)
    assert set(again.facts.revoked) == {first, report.facts.new.id}
    assert not set(again.facts.revoked) & set(ground.living(account))
    assert (ground.made(account), ground.put_aside(account)) == ([again.facts.new.id], [])


def test_a_key_that_the_provider_does_not_take_is_never_put_into_use_and_the_next_one_is_drawn(ground):
    account = ground.account("anthropic", pool=2)
    with ground.vault() as vault:
        before, rotten = vault.version(account.secret), f"{account.secret}-pool-0"
        vault.put(rotten, "sk-ant-something-else", vault.version(rotten).tags, soon())
    report = ground.refused(account)
    assert (report.verdict, report.facts.new_key_refused) == (Verdict.REFUTED, True)
    assert ground.pool(account) == {account.pool[0]: "refused", account.pool[1]: "available"}
    with ground.vault() as vault:
        assert vault.version(account.secret).version == before.version
    assert ground.statements(account)[-1].verdict is Verdict.REFUTED

    good = ground.run(account)
    assert good.facts.new.id == account.pool[1]
    assert (good.facts.new.pool_left, good.warnings != ()) == (0, True)
    with pytest.raises(PoolEmpty, match="has no key left") as empty:
        ground.run(account)
    assert "steward-pool=" in empty.value.hint


def test_a_vault_that_goes_away_before_the_new_key_is_used_leaves_nothing_of_it(ground, monkeypatch):
    account = ground.account("openai")
    monkeypatch.setattr(tasks.durable, "is_transient", lambda _: False)

    def away(*_):
        raise VaultUnavailable("the vault went away")

    with monkeypatch.context() as outage:
        outage.setattr(VersionedSecrets, "put", away)
        report = ground.refused(account)
    assert (report.verdict, "went away" in report.facts.error) == (Verdict.UNKNOWN, True)
    assert (ground.made(account), ground.put_aside(account)) == ([], [])
    assert ground.in_use(account) == report.begun.old[0].id


# Steps by themselves


def begin(account):
    return inspect.unwrap(tasks.provider_keys.begin_rotation.fn)(account)


def test_attempts_under_the_old_key_are_waited_for_and_those_of_dead_workers_are_over(ground):
    account = ground.account("openai")
    begun = begin(account.name)
    new = NewKey(id="k", secret="s", version="v", fingerprint="new")

    def await_attempts():
        return inspect.unwrap(tasks.provider_key_retirement.await_attempts.fn)(begun, new, 0)

    async def act():
        async with worker(ground, {account.name: "new"}) as ledger:
            await ledger.send(asked(account=account.name, credential_version=begun.fingerprint))
            await ledger.send(asked(account=account.name, credential_version="new"))
            await ledger.send(asked(account="another", credential_version="whatever"))
            return await asyncio.to_thread(await_attempts)

    assert asyncio.run(act()) == 1
    assert await_attempts() == 0


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("openai", {"key": "file:/run/secrets/openai"}, "lies in a file"),
        ("openai", {"admin_key": None}, "no admin_key"),
        ("openai", {"project": None}, "no project"),
    ],
)
def test_settings_that_do_not_do_are_refused_before_anything_is_touched(ground, kind, changes, words):
    account = ground.account(kind)
    ground.describe(account, **changes)
    with pytest.raises(NotRotatable, match=words):
        begin(account.name)
    ground.forget(account)


def test_a_provider_that_is_away_is_told_before_anything_is_touched(ground):
    account = ground.account("openai")
    ground.describe(account, url=f"http://127.0.0.1:{closed_port()}")
    with pytest.raises(ProviderUnavailable, match="does not answer GET"):
        begin(account.name)
    ground.forget(account)


def test_an_account_that_is_unknown_or_shares_its_key_is_refused(ground):
    account, other = ground.account("openai"), ground.account("openai")
    with pytest.raises(NotRotatable, match=r"unknown account 'opena1'; known: .*openai-"):
        begin("opena1")
    ground.describe(other, key=f"keyvault:{account.secret}")
    with pytest.raises(NotRotatable, match=f"is the key of {other.name} too"):
        begin(account.name)
    ground.forget(other)


def test_a_key_that_the_administration_does_not_know_is_refused_and_one_that_is_gone_already_is_not(ground):
    account = ground.account("openai")
    with ground.vault() as vault:
        now = vault.version(account.secret)
        vault.put(account.secret, ground.twins.secret("a1"), {"key-id": "key_of_elsewhere"}, soon())
    gone = begin(account.name)
    # The one before is still there: it goes too.
    assert ([each.id for each in gone.old], gone.was_refused) == ([now.tags["key-id"]], True)
    with ground.vault() as vault:
        vault.put(account.secret, now.value, {"key-id": "key_of_elsewhere"}, soon())
    with pytest.raises(NotRotatable, match="lists no key that secret"):
        begin(account.name)


def test_a_worker_that_tells_of_no_key_is_told_before_anything_is_touched(ground):
    account = ground.account("openai")

    async def act():
        async with AttemptLedger(ground.settings, "gateway-old"):
            with pytest.raises(NotRotatable, match="gateway-old \\(does not tell"):
                await asyncio.to_thread(begin, account.name)

    asyncio.run(act())


@pytest.mark.parametrize("given", [{"account": "../openai"}, {"account": ""}, {"reason": " "}, {"wait_seconds": -1}])
def test_what_is_asked_for_is_an_account_with_a_reason(given):
    with pytest.raises(ValidationError):
        KeyRequest(**{"account": "openai", "reason": "ticket 1", **given})
