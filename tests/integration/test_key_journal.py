"""The journal of key calls on real servers: nothing leaves for the vault that is not in it, whatever becomes of the call."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

import psycopg
import pytest
import tomli_w
from azure.keyvault.keys import KeyClient

from replica import inventory
from steward.__main__ import main
from steward.clients import key_calls, keyvault_asking
from steward.clients.key_calls import CreationInFlight, list_calls, summary, summary_of_command
from steward.clients.keyring import open_keyring
from steward.clients.keyvault import open_vault
from steward.clients.keyvault_errors import VaultForbidden, VaultKeyDisabled, VaultMissing, VaultRefused, VaultThrottled
from steward.clients.keyvault_journal import open_journaled_vault
from steward.clients.postgres import DatabaseNotMigrated, DatabaseUnavailable, connect
from steward.enrolment import enrol, subject_of
from steward.errors import BadInput
from steward.evidence.statements import Statement, artifact_of
from steward.evidence.store import list_statements, record
from steward.fieldcrypt.errors import TenantErased, TenantUnknown
from steward.key_coverage import check_coverage, measure
from steward.keys.calls import CHECKPOINT, Note
from steward.keys.coverage import NothingToCover
from steward.migrations.apply import migrate
from steward.settings import load
from steward.verdicts import Verdict
from tests.integration.closed_doors import closed_port
from tests.integration.described_vault import described
from tests.integration.fresh_database import changed, fresh_database, superuser
from tests.integration.fresh_keyring import fresh_keyring
from tests.integration.keyvault.conftest import running

pytestmark = pytest.mark.without_search

PAYLOAD = bytes(range(64))
PRINCIPAL = "rotator"
_before = 0


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with running(tmp_path_factory.mktemp("vault"), limits_factor=1000) as vault, vault.client(KeyClient) as keys:
        keys.create_rsa_key("tenants", size=2048)
        keys.create_ec_key("evidence", curve="P-256")
        yield vault


@pytest.fixture(scope="module")
def keyring(replica):
    with fresh_keyring(load(inventory.settings_file(replica))) as fresh:
        yield fresh.keyring


@pytest.fixture(scope="module")
def described_ground(replica, server, keyring):
    settings = load(inventory.settings_file(replica))
    own = {"vault": described(server, PRINCIPAL), "keyring": keyring}
    return changed(settings, "evidence", checkpoint_key=None, checkpoint_public_keys=None).model_copy(update=own)


@pytest.fixture(scope="module")
def shared(described_ground):
    with fresh_database(described_ground) as fresh:
        migrate(fresh)
        yield fresh


@pytest.fixture
def ground(shared):
    """Vault, keyring, journal and evidence; of the journal, tests look at what is new."""
    global _before  # noqa: PLW0603 # one test at a time
    with connect(shared) as connection:
        _before = max((call.id for call in list_calls(connection)), default=0)
    return shared


@pytest.fixture
def spoiled(described_ground):
    """A database of the test's own, to be damaged."""
    global _before  # noqa: PLW0603 # as above
    with fresh_database(described_ground) as fresh:
        migrate(fresh)
        _before = 0
        yield fresh


@pytest.fixture
def began():
    return datetime.now(UTC)


@pytest.fixture
def covering(server, shared, began):
    """How much of what was done in this test is accounted for."""

    def covering(vault=server, principal=PRINCIPAL, settings=shared):
        log = vault.folder / "vault" / "audit.log"
        return measure(settings, [log], vault.client_id(principal), began)

    return covering


@pytest.fixture
def tenant():
    return f"tenant-{secrets.token_hex(4)}"


def operation(settings, name="rotation"):
    """An operation of the ledger, as a flow would have begun it."""
    sql = "INSERT INTO steward.operations (name, subject, resource) VALUES (%s, %s, 'keyring') RETURNING id"
    with connect(settings) as connection:
        return connection.execute(sql, [name, secrets.token_hex(4)]).fetchone()[0]


def statement(period, told):
    now = datetime.now(UTC)
    return Statement(
        operation="rotation",
        subject="keys",
        period=str(period),
        attempt=1,
        verdict=Verdict.VERIFIED,
        claim="all that was called is told",
        artifacts=(artifact_of("request", period),),
        figures={"key_calls": told},
        started=now,
        finished=now,
    )


def tell(settings, operation_id):
    """A statement of the operation, as a flow would record it."""
    with connect(settings) as connection:
        told = summary(connection, operation_id)
    record(settings, statement(operation_id, told))


def calls(settings):
    with connect(settings) as connection:
        return [call for call in list_calls(connection) if call.id > _before]


def announced(settings):
    return [call.action.operation for call in calls(settings)]


def logged(vault, principal, since):
    """(operation, request id) of the principal's lines, as the vault wrote them."""
    return [
        (line["operationName"], line["correlationId"])
        for line in vault.audit()
        if line["identity"].get("claim", {}).get("appid") == vault.client_id(principal)
        and datetime.fromisoformat(line["time"]) >= since
    ]


def settings_file(settings, tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))
    return str(path)


# What is covered.


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


def test_an_enrolment_is_covered_by_a_statement_of_its_own(ground, covering, tenant):
    (keys,) = enrol(ground, [tenant])
    assert covering().by_operation == {"KeyUnwrap": 1}
    assert covering().is_complete
    with connect(ground) as connection:
        (row,) = list_statements(connection, "enrol-tenant", subject=tenant)
    assert row.verdict is Verdict.VERIFIED
    assert keys.generations[0].wraps


def test_enrolling_again_asks_and_tells_nothing_new(ground, tenant):
    first = enrol(ground, [tenant])
    before = announced(ground)
    assert enrol(ground, [tenant]) == first
    assert announced(ground) == before
    with connect(ground) as connection:
        assert len(list_statements(connection, subject=tenant)) == 1


def test_many_tenants_are_enrolled_under_one_statement(ground, covering, tenant):
    tenants = [f"{tenant}-{number}" for number in range(5)]
    assert [keys.tenant for keys in enrol(ground, tenants)] == tenants
    assert covering().by_operation == {"KeyUnwrap": 5}
    assert covering().is_complete
    with connect(ground) as connection:
        (row,) = list_statements(connection, subject=subject_of(tenants))
    assert row.subject.startswith("5 tenants ")


def test_what_an_interrupted_enrolment_has_called_is_told_by_the_next(ground, covering, tenant, monkeypatch):
    monkeypatch.setattr("steward.enrolment.record", _killed)
    with pytest.raises(KeyboardInterrupt):
        enrol(ground, [tenant])
    monkeypatch.undo()
    assert [one.reason for one in covering().uncovered] == [
        f"in the journal (enrol-tenant/{tenant}), in no recorded statement"
    ]
    enrol(ground, [tenant])
    assert covering().is_complete


def _killed(*_):
    raise KeyboardInterrupt


def test_an_enrolment_that_fails_is_told_too_and_its_verdict_says_so(ground, server, covering, tenant):
    with pytest.raises(VaultForbidden, match="unwrap with key tenants/"):
        enrol(ground.model_copy(update={"vault": described(server, "auditor")}), [tenant])
    coverage = covering(principal="auditor")
    assert (coverage.by_operation, coverage.is_complete) == ({"KeyUnwrap": 1}, True)
    with connect(ground) as connection:
        (row,) = list_statements(connection, subject=tenant)
    assert row.verdict is Verdict.REFUTED


def test_who_cannot_be_enrolled_is_told_before_anything_is_asked_or_recorded(ground, tenant):
    enrol(ground, [tenant])
    with open_keyring(ground.keyring) as ring:
        ring.erase(tenant)
    before = announced(ground)
    with pytest.raises(TenantErased):
        enrol(ground, [tenant])
    for impossible in ("", "nul\0", "x" * 256):
        with pytest.raises(TenantUnknown):
            enrol(ground, [f"{tenant}-new", impossible])
    with pytest.raises(BadInput, match="no keyring, or no vault"):
        enrol(ground.model_copy(update={"vault": None}), [tenant])
    assert announced(ground) == before


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


# What is not.


def test_a_call_past_the_journal_is_named_and_the_command_fails(ground, server, tmp_path, capsys, began):
    enrol(ground, [f"tenant-{secrets.token_hex(4)}"])
    command = ["keys", "coverage", "--settings", settings_file(ground, tmp_path), "--since", began.isoformat()]
    command += ["--vault-log", str(server.folder / "vault" / "audit.log")]
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("1 of 1 key operations are accounted for (100.00 %): KeyUnwrap 1\n")
    with open_vault(ground.vault) as past:
        wrap = past.wrap("tenants", PAYLOAD)
        past.unwrap(wrap.kek, wrap.wrapped)
    planted = logged(server, PRINCIPAL, began)[-1][1]
    assert main(command) == 1
    told = capsys.readouterr().err
    assert told.startswith("ERROR: 1 of 2 key operations are not accounted for")
    assert f"KeyUnwrap tenants/{wrap.kek.rpartition('/')[2]} at " in told
    assert f"({planted}): not in the journal" in told
    assert "HINT: not in the journal: who else has the login?" in told


def test_a_request_id_taken_from_the_journal_covers_no_second_call(ground, server, covering, tenant):
    enrol(ground, [tenant])
    taken = calls(ground)[-1]
    with server.http(server.token(PRINCIPAL)) as plain:
        url = f"/keys/tenants/{taken.action.version}/unwrapkey"
        plain.post(
            url, json={"alg": "RSA-OAEP-256", "value": "AA"}, headers={"x-ms-client-request-id": str(taken.request_id)}
        )
    assert [one.reason for one in covering().uncovered] == ["its request id was used before: each try has its own"]


def test_a_statement_that_nobody_signed_covers_nothing(spoiled, covering, tenant):
    enrol(spoiled, [tenant])
    with connect(spoiled) as connection:
        (row,) = list_statements(connection)
    forged = json.loads(row.envelope)
    forged["signatures"][0]["sig"] = "AAAA"
    with superuser(spoiled, spoiled.postgres.url.rpartition("/")[2]) as owner:
        owner.execute("SET session_replication_role = replica")
        owner.execute("ALTER TABLE steward.evidence DISABLE TRIGGER append_only")
        owner.execute("UPDATE steward.evidence SET envelope = %s WHERE id = %s", [json.dumps(forged), row.id])
    assert [one.reason for one in covering(settings=spoiled).uncovered] == [
        f"in the journal (enrol-tenant/{tenant}), in no recorded statement"
    ]


def test_a_row_that_is_taken_out_of_the_journal_is_missed(spoiled, covering, tenant):
    enrol(spoiled, [tenant])
    with superuser(spoiled, spoiled.postgres.url.rpartition("/")[2]) as owner:
        owner.execute("ALTER TABLE steward.key_calls DISABLE TRIGGER append_only")
        owner.execute("DELETE FROM steward.key_calls WHERE action = 'KeyGet'")
    coverage = covering(settings=spoiled)
    assert len(coverage.findings) == 1
    assert not coverage.is_complete


def test_the_command_says_what_it_cannot_judge(ground, tmp_path, server):
    log = tmp_path / "audit.log"
    log.write_text("")
    with pytest.raises(NothingToCover):
        check_coverage(ground, [log], None, None)
    log.write_text("no JSON\n")
    with pytest.raises(BadInput, match="line 1 of"):
        check_coverage(ground, [log], None, None)
    with pytest.raises(BadInput, match="cannot read"):
        check_coverage(ground, [tmp_path / "absent"], None, None)
    with pytest.raises(BadInput, match="no time with a zone"):
        check_coverage(ground, [log], None, "yesterday")
    anonymous = ground.vault.model_copy(update={"client_id": None})
    with pytest.raises(BadInput, match="whose calls"):
        check_coverage(ground.model_copy(update={"vault": anonymous}), [log], None, None)


# The journal itself.


def test_a_call_is_not_made_while_the_database_is_away(ground, server, began):
    away = changed(ground, "postgres", url=f"postgresql://steward@127.0.0.1:{closed_port()}/steward")
    with open_journaled_vault(away, Note("rotate")) as vault, pytest.raises(DatabaseUnavailable) as raised:
        vault.key("tenants")
    assert raised.value.transient
    assert logged(server, PRINCIPAL, began) == []


def test_a_database_without_the_journal_is_told_and_no_call_is_made(replica, ground, server, began):
    with (
        fresh_database(ground) as empty,
        open_journaled_vault(empty, Note("rotate")) as vault,
        pytest.raises(DatabaseNotMigrated),
    ):
        vault.key("tenants")
    assert logged(server, PRINCIPAL, began) == []


def test_a_connection_that_the_server_closed_costs_no_call(ground):
    with open_journaled_vault(ground, Note("rotate")) as vault:
        vault.key("tenants")
        with superuser(ground) as owner:
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'steward-key-calls'"
            )
        vault.key("tenants")
    assert announced(ground) == ["KeyGet", "KeyGet"]


def test_the_guard_is_asked_before_anything_but_a_reading_is_announced(ground, server, began):
    class Superseded(Exception):
        pass

    def guard():
        raise Superseded

    with open_journaled_vault(ground, Note("rotate"), before_write=guard) as vault:
        wrap = vault.wrap("tenants", PAYLOAD)
        with pytest.raises(Superseded):
            vault.unwrap(wrap.kek, wrap.wrapped)
    assert set(announced(ground)) == {"KeyGet"}
    assert {operation for operation, _ in logged(server, PRINCIPAL, began)} == {"KeyGet"}


def test_who_is_superseded_while_a_call_is_announced_does_not_send_it(ground, server, began):
    """Its operation's statement may be recorded by then: what arrived in the vault would be in none."""

    class Superseded(Exception):
        pass

    def guard():
        if "KeyUnwrap" in announced(ground):
            raise Superseded

    with open_journaled_vault(ground, Note("rotate"), before_write=guard) as vault:
        wrap = vault.wrap("tenants", PAYLOAD)
        with pytest.raises(Superseded):
            vault.unwrap(wrap.kek, wrap.wrapped)
    assert {operation for operation, _ in logged(server, PRINCIPAL, began)} == {"KeyGet"}


def test_no_row_holds_what_was_wrapped_or_signed(ground):
    digest = hashlib.sha256(b"statement").digest()
    with open_journaled_vault(ground, Note("rotate")) as vault:
        wrap = vault.wrap("tenants", PAYLOAD)
        vault.unwrap(wrap.kek, wrap.wrapped)
        vault.sign("evidence", "ES256", digest)
    with connect(ground) as connection:
        rows = str(connection.execute("SELECT key_calls::text FROM steward.key_calls").fetchall())
    for payload in (PAYLOAD, wrap.wrapped, digest):
        assert payload.hex() not in rows
    assert "KeySign,evidence," in rows


@pytest.mark.parametrize(
    "statement",
    ["UPDATE steward.key_calls SET purpose = 'x'", "DELETE FROM steward.key_calls", "TRUNCATE steward.key_calls"],
)
def test_the_journal_is_append_only(ground, statement):
    with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"), connect(ground) as connection:
        connection.execute(statement)


def test_a_summary_waits_for_rows_in_the_making_and_keeps_nobody_out_afterwards(ground):
    rotating = operation(ground)
    insert = "INSERT INTO steward.key_calls (request_id, operation_id, action, name, version, purpose) VALUES (gen_random_uuid(), %s, 'KeyUnwrap', 'tenants', '', 'x')"
    with connect(ground) as making, ThreadPoolExecutor(1) as pool:
        making.execute(insert, [rotating])

        def summarise():
            with connect(ground) as connection:
                told = summary(connection, rotating)
                with connect(ground) as other:
                    # The lock is gone, though the transaction is not.
                    other.execute(insert, [rotating])
                return told

        waiting = pool.submit(summarise)
        _until_somebody_waits(ground)
        making.commit()
        told = waiting.result()
    assert told["count"] == 1
    with connect(ground) as connection:
        assert summary(connection, rotating)["count"] == 2
        assert summary_of_command(connection, "no such")["count"] == 0


def _until_somebody_waits(settings):
    with superuser(settings) as owner:
        while not owner.execute(
            "SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE NOT granted AND datname = %s",
            [settings.postgres.url.rpartition("/")[2]],
        ).fetchone():
            pass


# Killed between one and the other.

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


def test_a_fork_has_connections_of_its_own(ground):
    with open_journaled_vault(ground, Note("rotate")) as vault:
        vault.key("tenants")
        child = os.fork()
        if not child:
            try:
                vault.key("tenants")
                os._exit(0)
            except BaseException:  # noqa: BLE001 # the child must not go on with the tests
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        vault.key("tenants")
    assert announced(ground) == ["KeyGet"] * 3


def test_without_a_vault_there_is_no_journaled_one(ground):
    with pytest.raises(BadInput, match="name no vault"):
        open_journaled_vault(ground.model_copy(update={"vault": None}), Note("rotate"))
