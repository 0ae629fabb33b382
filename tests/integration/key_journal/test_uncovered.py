"""What is not accounted for is named: calls past the journal, forged statements, rows that were taken out."""

from __future__ import annotations

import json
import secrets

import pytest
import tomli_w

from steward.__main__ import main
from steward.clients.keyvault import open_vault
from steward.clients.postgres import connect
from steward.enrolment import enrol
from steward.errors import BadInput
from steward.evidence.store import list_statements
from steward.key_coverage import check_coverage
from steward.keys.coverage import NothingToCover
from tests.integration.fresh_database import superuser
from tests.integration.key_journal.ground import PAYLOAD, PRINCIPAL, calls, logged

pytestmark = pytest.mark.without_search


def settings_file(settings, tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text(tomli_w.dumps(settings.model_dump(mode="json", exclude_none=True)))
    return str(path)


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
