"""TenantKeys while keyring or vault is away, slow, throttling or refusing."""

import itertools
import logging

import pytest

from steward.errors import Unavailable
from steward.fieldcrypt.errors import KeyringTampered, KeysRefused, KeysUnavailable, TenantErased
from tests.unit.fieldcrypt.in_memory import VaultAway, VaultForbids, VaultThrottles, until


def idle(keys):
    # Not by status(), which drops what is spent.
    until(lambda: len(keys._refresher._flights) == 0)


class KeyringAway(Unavailable):
    pass


@pytest.fixture
def heard():
    """Messages of the library's logger. Loads log after whoever waited was told, so wait for them by `until`."""
    messages = []

    class Listener(logging.Handler):
        def emit(self, record):
            messages.append((record.levelname, record.getMessage()))

    logger, listener = logging.getLogger("steward.fieldcrypt"), Listener()
    logger.addHandler(listener)
    yield messages
    logger.removeHandler(listener)


def test_no_request_waits_at_an_expiry_while_the_vault_hangs(timed, vault, clock):
    keys = timed()
    first = keys.of("acme")
    clock.advance(240)
    with vault.door.shut():
        assert keys.of("acme") is first
        vault.door.wait_for(2)
        for seconds in (59.9, 0.1, 0.1, 300, 599.8):
            clock.advance(seconds)
            # It would not come back from here.
            assert keys.of("acme") is first
        assert vault.door.calls == 2
    idle(keys)
    assert keys.of("acme") is not first
    assert keys.status().oldest_seconds == 0


def test_a_due_load_runs_once_and_in_the_background(timed, vault, keyring, clock):
    keys = timed()
    first = keys.of("acme")
    clock.advance(239.9)
    keys.of("acme")
    assert keyring.loaded["acme"] == 1
    clock.advance(0.1)
    with vault.door.shut():
        for _ in range(100):
            assert keys.of("acme") is first
    idle(keys)
    assert keys.of("acme") is not first
    assert keyring.loaded["acme"] == 2
    clock.advance(239.9)
    keys.of("acme")
    assert keyring.loaded["acme"] == 2


@pytest.mark.parametrize("away", ["vault", "keyring"])
def test_keys_serve_past_their_ttl_up_to_the_limit_and_not_a_moment_longer(timed, vault, keyring, clock, away):
    door, failure = (vault.door, VaultAway) if away == "vault" else (keyring.door, KeyringAway)
    keys = timed()
    first = keys.of("acme")
    with door.failing(failure):
        clock.advance(250)
        keys.of("acme")
        idle(keys)
        clock.advance(949.999)
        assert keys.of("acme") is first
        assert keys.status().stale == 1
        idle(keys)
        clock.advance(0.001)
        with pytest.raises(KeysUnavailable) as told:
            keys.of("acme")
    assert told.value.transient
    assert "tenant 'acme' cannot be loaded since 2" in told.value.message
    assert "(950 s, failed loads: 2): sent away at the door" in told.value.message
    assert told.value.retry_after_seconds > 0
    clock.advance(60)
    assert keys.of("acme") is not first


def test_an_outage_that_is_over_is_not_counted_again(timed, vault, clock):
    keys = timed(most_tenants=1)
    with vault.door.failing(VaultAway), pytest.raises(KeysUnavailable):
        keys.of("acme")
    clock.advance(2)
    keys.of("acme")
    keys.of("globex")
    with vault.door.failing(VaultAway), pytest.raises(KeysUnavailable, match=r"\(0 s, failed loads: 1\)"):
        keys.of("acme")


def test_a_hang_serves_no_longer_than_the_limit_either(timed, vault, clock):
    keys = timed()
    first = keys.of("acme")
    clock.advance(250)
    with vault.door.shut():
        assert keys.of("acme") is first
        vault.door.wait_for(2)
        clock.advance(949.999)
        assert keys.of("acme") is first
        clock.advance(0.001)
        with pytest.raises(KeysUnavailable, match=r"\(950 s.*no answer within 10 s"):
            keys.of("acme")


def test_keys_serve_again_at_once_when_the_vault_is_back(timed, vault, clock):
    keys = timed()
    keys.of("acme")
    clock.advance(250)
    with vault.door.failing(VaultAway):
        keys.of("acme")
        idle(keys)
    clock.advance(400)
    stale = keys.of("acme")
    idle(keys)
    assert keys.of("acme") is not stale
    assert keys.status().stale == 0


def test_a_tenant_that_nobody_used_is_served_stale_after_one_try(timed, vault, clock):
    keys = timed()
    first = keys.of("acme")
    clock.advance(500)
    with vault.door.failing(VaultAway):
        assert keys.of("acme") is first
        assert vault.door.calls == 2
        assert keys.of("acme") is first
        assert vault.door.calls == 2


def test_a_tenant_that_nobody_used_waits_for_its_keys_while_the_vault_answers(timed, clock):
    keys = timed()
    first = keys.of("acme")
    clock.advance(500)
    assert keys.of("acme") is not first


def test_a_tenant_that_nobody_used_is_served_stale_when_the_vault_hangs_too_long(timed, vault, clock):
    # A load that nothing holds up is done by then, on a machine that is busy, too.
    keys = timed(load_seconds=1)
    first = keys.of("acme")
    clock.advance(500)
    with vault.door.shut():
        assert keys.of("acme") is first
        # Nobody waits as long again.
        clock.advance(-1)
        assert keys.of("acme") is first


def test_a_refusal_ends_keys_with_their_ttl(timed, vault, clock):
    keys = timed()
    first = keys.of("acme")
    clock.advance(250)
    with vault.door.failing(VaultForbids):
        keys.of("acme")
        idle(keys)
        assert keys.status().refused == 1
        clock.advance(49.999)
        assert keys.of("acme") is first
        idle(keys)
        clock.advance(0.001)
        with pytest.raises(KeysRefused, match="sent away at the door") as told:
            keys.of("acme")
        assert not told.value.transient
        assert told.value.hint
    clock.advance(60)
    assert keys.of("acme") is not first


def test_a_refusal_that_comes_after_the_ttl_ends_keys_at_once(timed, vault, clock):
    keys = timed()
    keys.of("acme")
    clock.advance(250)
    with vault.door.failing(VaultAway):
        keys.of("acme")
        idle(keys)
    clock.advance(250)
    with vault.door.failing(VaultForbids):
        keys.of("acme")
        idle(keys)
        with pytest.raises(KeysRefused):
            keys.of("acme")


def test_a_vault_that_goes_away_after_it_refused_gives_no_right_back(timed, vault, clock):
    keys = timed()
    keys.of("acme")
    clock.advance(250)
    with vault.door.failing(VaultForbids):
        keys.of("acme")
        idle(keys)
    with vault.door.failing(VaultAway):
        clock.advance(40)
        keys.of("acme")
        idle(keys)
        assert vault.door.calls == 3
        clock.advance(10)
        with pytest.raises(KeysUnavailable):
            keys.of("acme")
        assert keys.status().tenants == 0


def test_a_refusal_that_was_a_mistake_leaves_no_trace(timed, vault, clock):
    keys = timed()
    keys.of("acme")
    clock.advance(250)
    with vault.door.failing(VaultForbids):
        keys.of("acme")
        idle(keys)
    clock.advance(10)
    keys.of("acme")
    idle(keys)
    clock.advance(60)
    assert keys.of("acme")
    assert keys.status().refused == 0


def test_an_erased_tenant_goes_as_soon_as_a_load_learns_of_it(timed, keyring, clock):
    keys = timed()
    keys.of("acme")
    keyring.erase("acme")
    clock.advance(250)
    keys.of("acme")
    idle(keys)
    assert keys.status().tenants == 0
    with pytest.raises(TenantErased, match="acme"):
        keys.of("acme")


def test_a_throttling_vault_gets_the_pause_it_asks_for(timed, vault, keyring, clock):
    keys = timed()
    keys.of("acme")
    globex = keys.of("globex")
    clock.advance(290)
    with vault.door.failing(VaultThrottles):
        keys.of("acme")
        idle(keys)
    asked = keyring.door.calls
    for _ in range(7):
        clock.advance(0.999)
        keys.of("acme")
        keys.of("globex")
    assert keyring.door.calls == asked
    # At most a quarter longer, so that not all come back at once.
    clock.advance(2)
    keys.of("acme")
    keys.of("globex")
    idle(keys)
    assert keyring.door.calls == asked + 2
    assert keys.of("globex") is not globex


def test_nobody_waits_at_an_expiry_that_falls_into_such_a_pause(timed, vault, keyring, clock):
    keys = timed()
    keys.of("acme")
    globex = keys.of("globex")
    clock.advance(295)
    with vault.door.failing(VaultThrottles):
        keys.of("acme")
        idle(keys)
    clock.advance(6)
    with keyring.door.shut():
        assert keys.of("globex") is globex
    assert keyring.loaded["globex"] == 1


def test_a_load_in_the_queue_stays_there_when_the_vault_begins_to_throttle(timed, vault, keyring, clock):
    keys = timed(most_background_loads=1)
    keys.of("acme")
    keys.of("globex")
    clock.advance(250)
    with vault.door.failing(VaultThrottles):
        with vault.door.shut():
            keys.of("acme")
            vault.door.wait_for(3)
            keys.of("globex")
            assert keys.status().loading == 2
        idle(keys)
    assert keyring.loaded["globex"] == 1
    clock.advance(9)
    keys.of("globex")
    idle(keys)
    assert keyring.loaded["globex"] == 2


def test_failed_loads_are_tried_again_after_growing_pauses(timed, vault, clock):
    keys = timed()
    keys.of("acme")
    clock.advance(240)
    tries = []
    with vault.door.failing(VaultAway):
        for second in range(120):
            before = vault.door.calls
            keys.of("acme")
            idle(keys)
            if vault.door.calls > before:
                tries.append(second)
            clock.advance(1)
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert pauses[:5] == sorted(pauses[:5])
    assert pauses[0] <= 2
    assert all(30 <= pause <= 38 for pause in pauses[5:])
    assert len(tries) == 8


def test_moved_rows_of_a_keyring_are_refused_and_told_aloud(timed, keyring, clock, heard):
    keys = timed()
    first = keys.of("acme")
    keyring.move_wraps("globex", "acme")
    clock.advance(250)
    assert keys.of("acme") is first
    idle(keys)
    until(lambda: any(level == "ERROR" and "made for another tenant" in told for level, told in heard))
    clock.advance(50)
    with pytest.raises(KeyringTampered, match="'acme' was made for another tenant"):
        keys.of("acme")


def test_each_tenant_whose_rows_were_moved_is_named(timed, keyring, heard):
    keyring.enrol("initech")
    keyring.move_wraps("initech", "acme")
    keyring.move_wraps("initech", "globex")
    keys = timed()
    for tenant in ("acme", "globex"):
        with pytest.raises(KeyringTampered):
            keys.of(tenant)
    until(lambda: len(heard) == 2)
    assert "'acme'" in heard[0][1]
    assert "'globex'" in heard[1][1]


def test_an_outage_is_logged_as_one_event_and_not_once_a_tenant(timed, keyring, vault, clock, heard):
    tenants = [f"tenant-{number}" for number in range(10)]
    keyring.enrol(*tenants)
    keys = timed()
    for tenant in tenants:
        keys.of(tenant)
    clock.advance(250)
    with vault.door.failing(VaultAway):
        for tenant in tenants:
            keys.of(tenant)
        idle(keys)
        clock.advance(11)
        keys.of(tenants[0])
        idle(keys)
    until(lambda: len(heard) == 2)
    assert "9 more like this were not logged" in heard[1][1]


def test_an_unforeseen_exception_is_not_quoted(timed, vault, monkeypatch, heard):
    secret = "the-" + "secret"

    def unwrap(kek, wrapped):
        raise ValueError(secret)

    monkeypatch.setattr(vault, "unwrap", unwrap)
    keys = timed()
    with pytest.raises(KeysRefused, match="unforeseen ValueError") as told:
        keys.of("acme")
    assert secret not in repr((told.value.args, vars(told.value), told.value.__cause__, told.value.__context__))
    until(lambda: len(heard) == 2)
    assert "in unwrap" in heard[0][1]
    assert secret not in repr(heard)
