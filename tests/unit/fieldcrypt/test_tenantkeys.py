"""TenantKeys in fair weather: one load for all who wait, little memory, and an end."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import pytest

from steward.errors import BadInput
from steward.fieldcrypt.cache import memory
from steward.fieldcrypt.cachepolicy import CachePolicy
from steward.fieldcrypt.errors import (
    ImpossibleCachePolicy,
    KeysNotInstalled,
    KeysRefused,
    KeysUnavailable,
    TenantUnknown,
)
from tests.unit.fieldcrypt.in_memory import VaultAway, VaultForbids, until


def idle(keys):
    until(lambda: keys.status().loading == 0)


def test_keys_in_memory_are_given_out_without_asking_anybody(tenant_keys, keyring, vault):
    first = tenant_keys.of("acme")
    assert all(tenant_keys.of("acme") is first for _ in range(1000))
    assert (keyring.door.calls, vault.door.calls) == (1, 1)
    assert tenant_keys.status().hits == 1000


def test_fifty_threads_and_fifty_coroutines_share_one_load(tenant_keys, keyring, vault):
    start = threading.Barrier(51)

    def wait():
        start.wait()
        return tenant_keys.of("acme")

    async def await_all():
        tasks = [asyncio.create_task(tenant_keys.ready("acme")) for _ in range(50)]
        await asyncio.to_thread(start.wait)
        return await asyncio.gather(*tasks)

    with ThreadPoolExecutor(51) as pool:
        with vault.door.shut():
            threads = [pool.submit(wait) for _ in range(50)]
            coroutines = pool.submit(asyncio.run, await_all())
            until(lambda: start.n_waiting == 0 and vault.door.calls == 1)
        seen = {id(thread.result()) for thread in threads} | {id(keys) for keys in coroutines.result()}
    assert len(seen) == 1
    assert (keyring.loaded["acme"], vault.door.calls) == (1, 1)


def test_all_who_wait_are_told_of_a_failed_load_each_by_an_error_of_its_own(tenant_keys, vault, keyring):
    vault.door.failure = VaultForbids

    def refused():
        with pytest.raises(KeysRefused, match="sent away at the door") as told:
            tenant_keys.of("acme")
        return told.value

    with ThreadPoolExecutor(20) as pool:
        with keyring.door.shut():
            waiting = [pool.submit(refused) for _ in range(20)]
            keyring.door.wait_for(1)
        errors = {thread.result() for thread in waiting}
    assert len(errors) == 20
    assert all(error.hint and error.__cause__ is None and error.__context__ is None for error in errors)
    assert keyring.loaded["acme"] == 1


def test_a_tenant_that_does_not_exist_is_asked_for_once_a_second(timed, keyring, clock):
    keys = timed()
    for _ in range(100):
        with pytest.raises(TenantUnknown, match="nobody") as told:
            keys.of("nobody")
    assert told.value.hint
    assert keyring.loaded["nobody"] == 1
    keyring.enrol("nobody")
    clock.advance(1.3)
    assert keys.of("nobody").tenant == "nobody"


def test_names_that_do_not_exist_take_bounded_memory_and_no_place_of_others(timed, monkeypatch):
    monkeypatch.setattr(memory, "_MOST_TROUBLES", 10)
    keys = timed(most_tenants=2)
    first = keys.of("acme")
    for number in range(50):
        with pytest.raises(TenantUnknown):
            keys.of(f"nobody-{number}")
    assert len(keys._refresher._memory._troubles) == 10
    assert keys.of("acme") is first


def test_a_cold_tenant_is_asked_for_once_a_second_while_the_vault_is_away(timed, keyring, vault, clock):
    keys = timed()
    with vault.door.failing(VaultAway):
        for _ in range(20):
            with pytest.raises(KeysUnavailable, match=r"cannot be loaded since .*: sent away at the door") as told:
                keys.of("acme")
        assert keyring.loaded["acme"] == 1
        assert told.value.transient
        assert 0 < told.value.retry_after_seconds < 1.3
        clock.advance(1.3)
        with pytest.raises(KeysUnavailable, match="failed loads: 2"):
            keys.of("acme")
    clock.advance(1.3)
    assert keys.of("acme")


def test_a_cold_tenant_waits_for_a_vault_that_hangs_up_to_a_limit(timed, keyring, vault, clock):
    keys = timed(load_seconds=0.05)
    with vault.door.shut():
        with pytest.raises(KeysUnavailable, match=r"no answer within 0\.05 s"):
            keys.of("acme")
        with pytest.raises(KeysUnavailable, match=r"no answer within 0\.05 s"):
            asyncio.run(keys.ready("acme"))
        clock.advance(60)
        # Whoever comes later is told at once, and since when it hangs.
        with pytest.raises(KeysUnavailable, match=r"\(60 s"):
            keys.of("acme")
    idle(keys)
    assert keys.of("acme")
    assert keyring.loaded["acme"] == 1


def test_the_least_recently_used_tenants_go_first(timed, keyring):
    keyring.enrol("a", "b", "c", "d", "e")
    keys = timed(most_tenants=3)
    for tenant in "abcd":
        keys.of(tenant)
    b = keys.of("b")
    keys.of("e")
    assert keys.status().tenants == 3
    assert keys.status().evicted == 2
    assert keys.of("b") is b
    assert [keyring.loaded[tenant] for tenant in "abcde"] == [1, 1, 1, 1, 1]
    keys.of("c")
    assert keyring.loaded["c"] == 2


def test_a_tenant_just_loaded_is_not_the_one_that_goes(timed, keyring):
    keyring.enrol("a", "b", "c")
    keys = timed(most_tenants=2)
    for tenant in ("a", "b", "a", "b", "c", "c"):
        keys.of(tenant)
    assert keyring.loaded["c"] == 1


def test_very_many_uses_ask_for_a_load_before_its_time(timed, keyring):
    keys = timed(most_uses=100)
    for _ in range(100):
        keys.of("acme")
    assert keyring.loaded["acme"] == 1
    keys.of("acme")
    idle(keys)
    for _ in range(99):
        keys.of("acme")
    idle(keys)
    assert keyring.loaded["acme"] == 2
    assert keys.status().hits == 199


def test_keys_that_nobody_uses_are_not_loaded_again_and_go_in_the_end(timed, keyring, clock):
    keys = timed()
    keys.of("acme")
    clock.advance(1199)
    assert keys.status().tenants == 1
    clock.advance(1)
    assert keys.status().tenants == 0
    assert keyring.loaded["acme"] == 1


def test_tenants_loaded_together_do_not_expire_together(timed, keyring):
    keyring.enrol(*(f"tenant-{number}" for number in range(20)))
    keys = timed(jitter=0.1)
    for number in range(20):
        keys.of(f"tenant-{number}")
    ends = [entry.fresh_until - entry.loaded_at for entry in keys._refresher._memory.entries.values()]
    assert all(270 <= end <= 330 for end in ends)
    assert len(set(ends)) == 20


def test_closed_keys_tell_those_who_wait_and_those_who_come(tenant_keys, vault):
    tenant_keys.of("globex")
    with ThreadPoolExecutor(1) as pool, vault.door.shut():
        waiting = pool.submit(tenant_keys.of, "acme")
        vault.door.wait_for(2)
        tenant_keys.close()
        with pytest.raises(KeysNotInstalled, match="closed"):
            waiting.result()
    for tenant in ("acme", "globex"):
        with pytest.raises(KeysNotInstalled, match="closed"):
            tenant_keys.of(tenant)
    assert tenant_keys.status().tenants == 0


def test_a_load_that_hangs_does_not_hold_up_another_tenants(timed, keyring, monkeypatch):
    keys = timed(most_loads=2)
    back, load = threading.Event(), keyring.load

    def hang_for_acme(tenant):
        assert tenant != "acme" or back.wait(30)
        return load(tenant)

    monkeypatch.setattr(keyring, "load", hang_for_acme)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(keys.of, "acme")
        assert keys.of("globex")
        assert not waiting.done()
        back.set()
        assert waiting.result().tenant == "acme"


def test_status_is_plain_numbers(timed, clock):
    keys = timed()
    keys.of("acme")
    clock.advance(12)
    keys.of("globex")
    assert asdict(keys.status()) == {
        "tenants": 2,
        "hits": 0,
        "loads": 2,
        "failures": 0,
        "evicted": 0,
        "loading": 0,
        "stale": 0,
        "refused": 0,
        "overdue": 0,
        "oldest_seconds": 12.0,
        "seen_epoch": 4,
    }


@pytest.mark.parametrize(
    "numbers",
    [
        {"ttl_seconds": 0},
        {"most_tenants": 0},
        {"most_loads": 0},
        {"stale_seconds": -1},
        {"jitter": 1},
        {"refresh_at": 80},
        {"retry_seconds": 0},
    ],
)
def test_a_policy_that_no_cache_can_follow_is_refused(numbers):
    with pytest.raises(ImpossibleCachePolicy) as refused:
        CachePolicy(**numbers)
    assert isinstance(refused.value, BadInput)
    assert refused.value.hint
