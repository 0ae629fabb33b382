"""A version is made once, whenever the attempt that asked for it was killed."""

from __future__ import annotations

import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.keyvault.keys import KeyClient

from steward.clients import key_calls
from steward.clients.key_calls import CreationInFlight
from steward.clients.keyvault_journal import open_journaled_vault
from steward.keys.calls import Note
from tests.integration.key_journal.ground import announced, operation, tell

pytestmark = pytest.mark.without_search

CALLER = """
import os, signal, sys
from azure.core.pipeline.transport import RequestsTransport
from steward.clients.keyvault_journal import open_journaled_vault
from steward.keys.calls import Note
from steward.settings import Settings

settings, when, name, operation = sys.argv[1:]
send = RequestsTransport.send


def dying(self, request, **options):
    last = "Authorization" in request.headers and request.url.partition("?")[0].endswith(("/create", "/unwrapkey"))
    if last and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    answer = send(self, request, **options)
    if last and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return answer


RequestsTransport.send = dying
with open_journaled_vault(Settings.model_validate_json(settings), Note("rotate", int(operation))) as vault:
    vault.new_version(name, {"operation": operation})
"""


def killed_while_creating(settings, when, name, rotating):
    described = settings.model_dump_json()
    command = [sys.executable, "-c", CALLER, described, when, name, str(rotating)]
    assert subprocess.run(command, check=False, timeout=60).returncode == -9


@pytest.fixture
def short_flight(monkeypatch):
    """Half a second instead of ten: nothing here stays in the vault for longer."""
    monkeypatch.setattr(key_calls, "IN_FLIGHT_SECONDS", 0.5)


@pytest.mark.parametrize(("when", "made"), [("before", 0), ("after", 1)])
def test_a_version_that_a_killed_attempt_asked_for_is_made_once(ground, covering, short_flight, when, made):
    rotating, name = operation(ground), f"k{secrets.token_hex(6)}"
    killed_while_creating(ground, when, name, rotating)
    assert announced(ground)[-1] == "KeyCreate"
    with open_journaled_vault(ground, Note("rotate", rotating)) as vault:
        assert len(vault.versions(name)) == made
        version = vault.new_version(name, {"operation": str(rotating)})
        assert vault.versions(name) == [version]
    tell(ground, rotating)
    coverage = covering()
    assert (coverage.by_operation, coverage.is_complete) == ({"KeyCreate": 1}, True)
    # What was announced and never arrived.
    assert coverage.unseen == 1 - made


def test_a_version_that_a_dead_attempt_left_on_its_way_is_waited_for(ground, server):
    """The dead attempt's request comes through after the next one has looked for it in vain."""
    rotating, name = operation(ground), f"k{secrets.token_hex(6)}"
    killed_while_creating(ground, "before", name, rotating)
    with (
        open_journaled_vault(ground, Note("rotate", rotating)) as vault,
        ThreadPoolExecutor(1) as pool,
        server.client(KeyClient) as late,
    ):
        found = pool.submit(vault.new_version, name, {"operation": str(rotating)})
        while announced(ground).count("KeyListVersions") < 2:
            assert not found.done()
        landed = late.create_rsa_key(name, size=2048, tags={"operation": str(rotating)}).id
        assert found.result().kid == landed
        assert [one.kid for one in vault.versions(name)] == [landed]


def test_attempts_that_ask_at_once_get_one_version(ground, covering):
    rotating, name = operation(ground), f"k{secrets.token_hex(6)}"
    vaults = [open_journaled_vault(ground, Note("rotate", rotating)) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda vault: vault.new_version(name, {"operation": str(rotating)}), vaults))
        assert len({one.kid for one in made}) == 1
        assert [one.kid for one in vaults[0].versions(name)] == [made[0].kid]
    for vault in vaults:
        vault.close()
    tell(ground, rotating)
    assert covering().by_operation == {"KeyCreate": 1}
    assert covering().is_complete


def test_another_operations_version_is_not_waited_for(ground):
    name = f"k{secrets.token_hex(6)}"
    made = []
    for rotating in (operation(ground), operation(ground)):
        with open_journaled_vault(ground, Note("rotate", rotating)) as vault:
            made.append(vault.new_version(name, {"operation": str(rotating)}).kid)
    assert len(set(made)) == 2
    # Each looked once, and made its own.
    assert announced(ground) == ["KeyListVersions", "KeyCreate"] * 2


def test_an_attempt_that_waits_in_vain_for_another_says_so(ground, monkeypatch):
    rotating, name = operation(ground), f"k{secrets.token_hex(6)}"
    monkeypatch.setattr("steward.clients.keyvault_journal.IN_FLIGHT_SECONDS", 0.0)
    with open_journaled_vault(ground, Note("rotate", rotating)) as vault:
        vault.new_version(name, {"operation": "another"})
        with pytest.raises(
            CreationInFlight, match=f"another attempt has asked for a new version of key {name}"
        ) as raised:
            vault.new_version(name, {"operation": str(rotating)})
    assert raised.value.transient
