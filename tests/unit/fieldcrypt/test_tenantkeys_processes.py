"""TenantKeys in event loops, in the child of a fork, and at the end of the interpreter."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

import steward.fieldcrypt.cache.loaders as loaders_module
from steward.fieldcrypt import FieldCipher
from steward.fieldcrypt.tenantkeys import TenantKeys
from tests.unit.fieldcrypt.in_memory import Door, until


def loaders():
    return {thread for thread in threading.enumerate() if thread.name == "steward-tenant-keys"}


def in_child(work):
    """The exit code of a forked child that does *work*."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(30)
            work()
        except BaseException:  # noqa: BLE001
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_what_is_in_memory_is_there_without_a_turn_of_the_event_loop(tenant_keys):
    first = tenant_keys.of("acme")
    with pytest.raises(StopIteration) as ended:
        tenant_keys.ready("acme").send(None)
    assert ended.value.value is first


def test_an_event_loop_turns_while_a_cold_tenant_is_awaited(tenant_keys, vault):
    async def main():
        with vault.door.shut():
            waiting = asyncio.create_task(tenant_keys.ready("acme"))
            await asyncio.to_thread(vault.door.wait_for, 1)
            assert not waiting.done()
        return await waiting

    assert asyncio.run(main()).tenant == "acme"


def test_a_cancelled_waiter_takes_the_load_from_nobody(tenant_keys, vault, keyring):
    async def main():
        with vault.door.shut():
            waiting = [asyncio.create_task(tenant_keys.ready("acme")) for _ in range(3)]
            await asyncio.to_thread(vault.door.wait_for, 1)
            waiting[0].cancel()
            await asyncio.wait(waiting[:1])
        return waiting[0].cancelled(), await waiting[1], await waiting[2]

    cancelled, one, other = asyncio.run(main())
    assert cancelled
    assert one is other
    assert keyring.loaded["acme"] == 1


def test_a_load_outlives_the_event_loop_that_asked_for_it(tenant_keys, vault, keyring, caplog):
    async def leave():
        waiting = asyncio.create_task(tenant_keys.ready("acme"))
        await asyncio.to_thread(vault.door.wait_for, 1)
        waiting.cancel()

    with vault.door.shut():
        asyncio.run(leave())
    assert tenant_keys.of("acme")
    assert keyring.loaded["acme"] == 1
    assert not caplog.records


def test_a_forked_child_keeps_the_keys_and_loads_by_threads_of_its_own(tenant_keys, keyring):
    stored = FieldCipher("acme", tenant_keys).encrypt("t", "f", 1, "value")

    def work():
        assert FieldCipher("acme", tenant_keys).decrypt("t", "f", 1, stored) == "value"
        assert keyring.loaded["acme"] == 1
        assert tenant_keys.of("globex")
        assert tenant_keys.status().loads == 2

    assert in_child(work) == 0
    assert tenant_keys.status().loads == 1


def test_a_forked_child_waits_for_no_load_of_its_parent(timed, keyring, vault, clock):
    keys = timed()
    first = keys.of("acme")
    clock.advance(250)

    def work():
        vault.door = keyring.door = Door()
        assert keys.status().loading == 0
        assert keys.of("globex").tenant == "globex"
        # It was due when its parent began to load it.
        assert keys.of("acme") is first
        until(lambda: keys.status().loading == 0)
        assert keys.of("acme") is not first

    with ThreadPoolExecutor(1) as pool:
        with vault.door.shut():
            assert keys.of("acme") is first
            cold = pool.submit(keys.of, "globex")
            vault.door.wait_for(3)
            # As if another thread were just deciding something.
            with keys._refresher._lock:
                assert in_child(work) == 0
        assert cold.result()


def test_the_interpreter_ends_while_the_vault_hangs():
    program = """
import threading
from steward.fieldcrypt.tenantkeys import TenantKeys

class Hanging:
    came = threading.Event()
    def load(self, tenant):
        self.came.set()
        threading.Event().wait()

keys = TenantKeys(Hanging(), None)
threading.Thread(target=keys.of, args=["acme"], daemon=True).start()
Hanging.came.wait()
"""
    ended = subprocess.run([sys.executable, "-c", program], check=False, timeout=60, capture_output=True)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_threads_end_with_the_keys_they_load_for(keyring, vault):
    before = loaders()
    keys = TenantKeys(keyring, vault)
    keys.of("acme")
    assert len(loaders() - before) == 1
    keys.close()
    until(lambda: not loaders() - before)
    TenantKeys(keyring, vault).of("acme")
    gc.collect()
    until(lambda: not loaders() - before)


def test_a_system_without_a_thread_to_spare_leaves_nothing_half_begun(tenant_keys, monkeypatch):
    def start(thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError, match="thread"):
            tenant_keys.of("acme")
    assert tenant_keys.of("acme")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start)
        assert tenant_keys.of("globex")


def test_no_more_threads_than_agreed_load_at_once(timed, keyring, vault):
    tenants = [f"tenant-{number}" for number in range(12)]
    keyring.enrol(*tenants)
    keys = timed(most_loads=3)
    before = loaders()
    with ThreadPoolExecutor(12) as pool:
        with vault.door.shut():
            waiting = [pool.submit(keys.of, tenant) for tenant in tenants]
            vault.door.wait_for(3)
            until(lambda: keys.status().loading == 12)
            assert vault.door.calls == 3
            assert len(loaders() - before) == 3
        assert [each.result().tenant for each in waiting] == tenants


def test_whoever_waits_does_not_wait_for_loads_in_the_background(timed, keyring, vault, clock):
    tenants = [f"tenant-{number}" for number in range(5)]
    keyring.enrol(*tenants)
    keys = timed(most_loads=2, most_background_loads=1)
    for tenant in tenants:
        keys.of(tenant)
    clock.advance(250)
    order = []
    real_load = keyring.load
    keyring.load = lambda tenant: (order.append(tenant), real_load(tenant))[1]
    with ThreadPoolExecutor(2) as pool:
        with vault.door.shut():
            for tenant in tenants:
                keys.of(tenant)
            vault.door.wait_for(6)
            cold = pool.submit(keys.of, "acme")
            vault.door.wait_for(7)
            sought = pool.submit(keys.seek, "tenant-4", 1000)
            vault.door.wait_for(8)
            assert order == ["tenant-0", "acme", "tenant-4"]
        assert cold.result()
        assert sought.result()
    until(lambda: keys.status().loading == 0)
    assert order[3:] == ["tenant-1", "tenant-2", "tenant-3"]


@pytest.mark.parametrize(
    ("computed", "waited", "rested"),
    [(0.01, 0.0, [pytest.approx(0.03)]), (0.01, 0.02, [pytest.approx(0.01)]), (0.01, 0.2, [])],
)
def test_a_load_in_the_background_rests_by_what_it_computed_and_a_distant_vault_is_rest_enough(
    monkeypatch, computed, waited, rested
):
    times, slept = {"cpu": 0.0, "wall": 0.0}, []
    clock = SimpleNamespace(thread_time=lambda: times["cpu"], monotonic=lambda: times["wall"], sleep=slept.append)
    monkeypatch.setattr(loaders_module, "time", clock)

    def work():
        times["cpu"] += computed
        times["wall"] += computed + waited

    before = loaders()
    pool = loaders_module.Loaders(1, share=1 / 4)
    pool.submit(work)
    pool.close()
    until(lambda: loaders() <= before)
    assert slept == rested
