"""Every call of a journaled vault is accounted for: refused, throttled, from threads, or for a checkpoint."""

from __future__ import annotations

import hashlib
import secrets
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from azure.keyvault.keys import KeyClient

from steward.clients import keyvault_asking
from steward.clients.key_calls import summary_of_command
from steward.clients.keyvault_errors import VaultForbidden, VaultKeyDisabled, VaultMissing, VaultRefused, VaultThrottled
from steward.clients.keyvault_journal import open_journaled_vault
from steward.clients.postgres import connect
from steward.evidence.store import record
from steward.keys.calls import CHECKPOINT, Note
from tests.integration.described_vault import described
from tests.integration.fresh_database import changed
from tests.integration.key_journal.ground import PAYLOAD, PRINCIPAL, calls, logged, operation, statement, tell
from tests.testbed.keyvault.ground import running

pytestmark = pytest.mark.without_search


def test_everything_that_a_rotation_asks_for_is_in_the_journal_and_in_its_statement(ground, server, covering, began):
    rotating, name = operation(ground), f"k{secrets.token_hex(6)}"
    with open_journaled_vault(ground, Note("begin", command="begin")) as vault:
        old = vault.new_version(name, {"operation": "0"})
        wrap = vault.wrap(name, PAYLOAD)
    with open_journaled_vault(ground, Note("rotate", rotating)) as vault:
        new = vault.new_version(name, {"operation": str(rotating)})
        assert vault.unwrap(wrap.kek, wrap.wrapped) == PAYLOAD
        vault.disable_version(old.kid)
        vault.enable_version(old.kid)
        vault.sign("evidence", "ES256", hashlib.sha256(b"").digest())
        assert len(vault.versions(name)) == len({old.kid, new.kid})
    tell(ground, rotating)
    assert [one.logged.action.operation for one in covering().uncovered] == ["KeyCreate"]
    with connect(ground) as connection:
        record(ground, statement("begin", summary_of_command(connection, "begin")))
    coverage = covering()
    assert coverage.is_complete
    assert coverage.by_operation == {"KeyCreate": 2, "KeySign": 1, "KeyUnwrap": 1, "KeyUpdate": 2}
    assert (coverage.percent, coverage.unseen, coverage.reads) == (100, 0, coverage.reads_announced)
    assert coverage.reads > 0
    # Not only counted alike: each line has its row.
    assert logged(server, PRINCIPAL, began) == [(call.action.operation, str(call.request_id)) for call in calls(ground)]


def test_refused_and_missing_and_disabled_are_covered_like_any_other(ground, covering, server):
    rotating, trying, name = operation(ground), operation(ground), f"k{secrets.token_hex(6)}"
    with open_journaled_vault(ground, Note("rotate", rotating)) as vault:
        made = vault.new_version(name, {"operation": "1"})
        wrap = vault.wrap(name, PAYLOAD)
        vault.disable_version(made.kid)
        with pytest.raises(VaultKeyDisabled):
            vault.unwrap(wrap.kek, wrap.wrapped)
        with pytest.raises(VaultMissing):
            vault.unwrap(f"{vault.url}/keys/{name}/{'0' * 32}", wrap.wrapped)
    reading = ground.model_copy(update={"vault": described(server, "auditor")})
    with open_journaled_vault(reading, Note("rotate", rotating)) as vault, pytest.raises(VaultForbidden):
        vault.unwrap(wrap.kek, wrap.wrapped)
    with (
        open_journaled_vault(reading, Note("rotate", trying)) as vault,
        pytest.raises(VaultForbidden, match="make a version"),
    ):
        vault.new_version(name, {"operation": "2"})
    tell(ground, rotating)
    tell(ground, trying)
    assert covering().is_complete
    assert covering(principal="auditor").by_operation == {"KeyCreate": 1, "KeyUnwrap": 1}
    assert covering(principal="auditor").is_complete


def test_every_try_of_a_throttled_call_is_covered(ground, covering, tmp_path, monkeypatch):
    monkeypatch.setattr(keyvault_asking, "TOTAL_SECONDS", 1.5)
    # A thousandth of Azure's limits: two unwrappings in ten seconds.
    with running(tmp_path / "busy", limits_factor=0.001) as busy:
        with busy.client(KeyClient) as keys:
            kid = keys.create_rsa_key("tenants", size=3072).id
        settings = ground.model_copy(update={"vault": described(busy, PRINCIPAL)})
        rotating = operation(ground)
        with open_journaled_vault(settings, Note("rotate", rotating)) as vault, pytest.raises(VaultThrottled):
            unwrap_for_ever(vault, kid)
        tell(settings, rotating)
        coverage = covering(busy)
        refused = [line for line in busy.audit() if line["properties"]["httpStatusCode"] == 429]
    assert coverage.is_complete
    assert refused
    assert coverage.operations + coverage.reads == len(calls(ground))


def unwrap_for_ever(vault, kid):
    while True:
        # Nonsense, refused; it only counts.
        with suppress(VaultRefused):
            vault.unwrap(kid, bytes(384))


def test_threads_share_a_journal_and_each_call_has_a_row(ground, covering):
    rotating = operation(ground)
    with open_journaled_vault(ground, Note("rotate", rotating)) as vault, ThreadPoolExecutor(16) as pool:
        wrap = vault.wrap("tenants", PAYLOAD)
        assert set(pool.map(lambda _: vault.unwrap(wrap.kek, wrap.wrapped), range(64))) == {PAYLOAD}
    tell(ground, rotating)
    assert covering().by_operation == {"KeyUnwrap": 64}
    assert covering().is_complete


def test_a_checkpoints_signature_needs_no_statement_and_any_other_by_its_key_does(ground, covering):
    signing = changed(ground, "evidence", checkpoint_key="evidence")
    with open_journaled_vault(ground, Note(CHECKPOINT)) as vault:
        vault.sign("evidence", "ES256", bytes(32))
    assert covering(settings=signing).is_complete
    assert not covering().is_complete
    with open_journaled_vault(ground, Note("something else")) as vault:
        vault.sign("evidence", "ES256", bytes(32))
    assert [one.reason for one in covering(settings=signing).uncovered] == [
        "in the journal (on nobody's behalf), in no recorded statement"
    ]
