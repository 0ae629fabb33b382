"""Coverage over values: every way in which a line of the vault's log is not accounted for has a name."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from steward.errors import BadInput
from steward.keys.actions import action_of
from steward.keys.calls import KeyCall, Note, as_figure, digest_of, key_calls, told_calls
from steward.keys.coverage import KeyOperationsUncovered, NothingToCover, Told, cover, in_words, require_complete
from steward.keys.vaultlog import VaultLogUnusable, read_vault_log

STEWARD, STRANGER = "2a0c0d1e-0000-4000-8000-000000000001", "2a0c0d1e-0000-4000-8000-000000000002"
NOW = datetime(2026, 2, 1, 3, tzinfo=UTC)
VERSION = "0123456789abcdef" * 2
UNWRAP, CREATE = ("POST", f"/keys/tenants/{VERSION}/unwrapkey"), ("POST", "/keys/tenants/create")
SIGN, READ, SECRET = ("POST", f"/keys/evidence/{VERSION}/sign"), ("GET", "/keys/tenants"), ("GET", "/secrets/password")


class Vault:
    """A log and a journal that are written side by side, as a journaled client and the vault write them."""

    def __init__(self) -> None:
        self.lines, self.calls = [], []

    def announce(self, request, note):
        call = KeyCall(len(self.calls) + 1, uuid4(), action_of(*request), note, NOW)
        self.calls.append(call)
        return call.request_id

    def answer(self, request, request_id, *, principal=STEWARD, status=200, second=0):
        self.lines.append(
            json.dumps(
                {
                    "time": f"2026-02-01T03:00:{second:02}.1234567Z",
                    "operationName": action_of(*request).operation,
                    "correlationId": str(request_id),
                    "identity": {"claim": {"appid": principal}} if principal else {},
                    "properties": {
                        "requestUri": f"https://v{request[1]}?api-version=7.6",
                        "httpStatusCode": status,
                    },
                }
            )
        )

    def ask(self, request, note, **answer):
        self.answer(request, self.announce(request, note), **answer)

    def told(self, **scope):
        of = [
            call
            for call in self.calls
            if (call.note.operation_id, call.note.command) == (scope.get("operation"), scope.get("command"))
        ]
        return Told("ab" * 32, key_calls(of, **scope))

    def coverage(self, *told, principal=STEWARD, since=None):
        lines = read_vault_log(self.lines, "audit.log")
        return cover(lines, self.calls, told, principal=principal, checkpoint_key="evidence", since=since)


ROTATION, ENROLMENT = Note("rewrap", 7), Note("enrol", command="enrol-tenant/acme")


@pytest.fixture
def vault():
    return Vault()


def reasons(coverage):
    return [one.reason for one in coverage.uncovered]


def test_what_was_announced_and_is_in_a_statement_is_covered(vault):
    vault.ask(CREATE, ROTATION)
    vault.ask(UNWRAP, ROTATION)
    vault.ask(UNWRAP, ENROLMENT, status=403)
    coverage = vault.coverage(vault.told(operation=7), vault.told(command="enrol-tenant/acme"))
    assert (coverage.covered, coverage.operations, coverage.percent) == (3, 3, 100)
    assert coverage.by_operation == {"KeyCreate": 1, "KeyUnwrap": 2}
    require_complete(coverage)


def test_a_call_past_the_journal_is_named(vault):
    vault.ask(CREATE, ROTATION)
    planted = uuid4()
    vault.answer(UNWRAP, planted)
    coverage = vault.coverage(vault.told(operation=7))
    assert reasons(coverage) == ["not in the journal"]
    assert coverage.percent == 50
    with pytest.raises(KeyOperationsUncovered, match=f"KeyUnwrap tenants/{VERSION} at .*{planted}") as raised:
        require_complete(coverage)
    assert raised.value.message.startswith("1 of 2 key operations are not accounted for")


def test_a_call_without_a_request_id_of_ours_is_not_covered(vault):
    vault.answer(UNWRAP, "not-a-uuid")
    assert reasons(vault.coverage()) == ["not in the journal"]


def test_an_operation_that_recorded_no_statement_is_named(vault):
    vault.ask(UNWRAP, ROTATION)
    assert reasons(vault.coverage()) == ["in the journal (operation 7), in no recorded statement"]


def test_what_is_called_after_the_statement_is_not_in_it(vault):
    vault.ask(UNWRAP, ROTATION)
    told = vault.told(operation=7)
    vault.ask(UNWRAP, ROTATION, second=1)
    assert len(vault.coverage(told).uncovered) == 1
    # A later attempt's statement speaks for all of them.
    assert vault.coverage(told, vault.told(operation=7)).is_complete


def test_calls_on_nobodys_behalf_are_in_no_statement(vault):
    vault.ask(UNWRAP, Note("by hand"))
    coverage = vault.coverage(vault.told())
    assert reasons(coverage) == ["in the journal (on nobody's behalf), in no recorded statement"]
    assert len(coverage.findings) == 1


def test_a_request_id_that_is_used_again_covers_one_call_only(vault):
    request_id = vault.announce(UNWRAP, ROTATION)
    vault.answer(UNWRAP, request_id)
    vault.answer(UNWRAP, request_id, second=1)
    assert reasons(vault.coverage(vault.told(operation=7))) == ["its request id was used before: each try has its own"]


@pytest.mark.parametrize("other", [CREATE, SIGN, ("POST", f"/keys/tenants/{'f' * 32}/unwrapkey")])
def test_a_request_id_that_was_announced_for_another_call_covers_nothing(vault, other):
    vault.answer(other, vault.announce(UNWRAP, ROTATION))
    coverage = vault.coverage(vault.told(operation=7))
    assert reasons(coverage) == [f"its request id was announced for another call: KeyUnwrap tenants/{VERSION}"]


def test_a_line_that_is_delivered_twice_is_one_call(vault):
    vault.ask(UNWRAP, ROTATION)
    vault.lines *= 2
    coverage = vault.coverage(vault.told(operation=7))
    assert (coverage.operations, coverage.is_complete) == (1, True)


def test_a_row_taken_out_of_or_put_into_the_journal_contradicts_the_statement(vault):
    vault.ask(UNWRAP, ROTATION)
    vault.ask(UNWRAP, ROTATION, second=1)
    told = vault.told(operation=7)
    taken = vault.calls.pop(0)
    coverage = vault.coverage(told)
    assert coverage.findings == (
        f"statement {'ab' * 32} tells of 2 calls (operation 7), and the journal has 1 with another digest",
    )
    assert len(coverage.uncovered) == 2
    vault.calls[:0] = [taken, dataclasses.replace(taken, request_id=uuid4())]
    assert vault.coverage(told).findings


def test_a_signature_of_a_checkpoint_is_its_own_statement(vault):
    vault.ask(SIGN, Note("checkpoint"))
    assert vault.coverage().is_complete


@pytest.mark.parametrize(
    ("request_", "note"),
    [
        (SIGN, Note("rewrap")),
        (("POST", f"/keys/tenants/{VERSION}/sign"), Note("checkpoint")),
        (("POST", f"/keys/evidence/{VERSION}/decrypt"), Note("checkpoint")),
    ],
)
def test_nothing_else_passes_for_one(vault, request_, note):
    vault.ask(request_, note)
    assert len(vault.coverage().uncovered) == 1


def test_a_signature_of_a_checkpoint_that_was_not_announced_is_named(vault):
    vault.answer(SIGN, uuid4())
    assert reasons(vault.coverage()) == ["not in the journal"]


def test_reads_and_secrets_are_told_apart(vault):
    vault.ask(UNWRAP, ROTATION)
    vault.ask(READ, ROTATION)
    vault.answer(READ, uuid4(), second=1)
    vault.answer(SECRET, uuid4(), second=2)
    coverage = vault.coverage(vault.told(operation=7))
    assert (coverage.operations, coverage.reads, coverage.reads_announced, coverage.others) == (1, 2, 1, 1)
    assert coverage.is_complete
    assert in_words(coverage)[1] == "questions for public keys: 2, 1 of them in the journal"


def test_other_principals_calls_are_not_stewards(vault):
    vault.ask(UNWRAP, ROTATION)
    vault.answer(UNWRAP, uuid4(), principal=STRANGER)
    vault.answer(UNWRAP, uuid4(), principal=None, status=401)
    assert vault.coverage(vault.told(operation=7)).operations == 1
    assert len(vault.coverage(principal=STRANGER.upper()).uncovered) == 1


def test_a_call_that_never_arrived_is_counted_and_is_no_fault(vault):
    vault.ask(UNWRAP, ROTATION)
    vault.announce(UNWRAP, ROTATION)
    coverage = vault.coverage(vault.told(operation=7))
    assert (coverage.unseen, coverage.is_complete) == (1, True)


def test_what_was_before_the_journal_can_be_left_aside(vault):
    vault.answer(UNWRAP, uuid4())
    vault.ask(UNWRAP, ROTATION, second=2)
    later = vault.coverage(vault.told(operation=7), since=NOW + timedelta(seconds=1))
    assert (later.operations, later.is_complete, later.unseen) == (1, True, 0)
    assert not vault.coverage(vault.told(operation=7)).is_complete


def test_a_log_without_the_principal_proves_nothing(vault):
    vault.ask(READ, ROTATION)
    with pytest.raises(NothingToCover, match=f"no key operation of principal {STEWARD}"):
        vault.coverage()


@pytest.mark.parametrize(
    "line", ["{", "[]", "{}", '{"time": "now", "operationName": "KeyGet", "properties": {}}', "\x00"]
)
def test_a_line_that_cannot_be_read_is_named_by_its_number(vault, line):
    vault.ask(UNWRAP, ROTATION)
    vault.lines.append(line)
    with pytest.raises(VaultLogUnusable, match=r"line 2 of audit\.log"):
        vault.coverage(vault.told(operation=7))


def test_a_long_list_is_cut_and_says_so(vault):
    for second in range(60):
        vault.answer(UNWRAP, uuid4(), second=second)
    with pytest.raises(KeyOperationsUncovered, match="and 10 more"):
        require_complete(vault.coverage())


def test_the_figure_of_a_statement_is_read_back_and_anything_else_is_none(vault):
    vault.ask(UNWRAP, ROTATION)
    figure = json.loads(json.dumps(as_figure(vault.told(operation=7).calls)))
    assert told_calls({"key_calls": figure}) == vault.told(operation=7).calls
    for wrong in (
        {},
        {"key_calls": 3},
        {"key_calls": figure | {"count": "1"}},
        {"key_calls": figure | {"operation": []}},
    ):
        assert told_calls(wrong) is None


def test_the_digest_is_that_of_the_sorted_ids():
    ids = [UUID(int=2), UUID(int=1)]
    assert digest_of(ids) == digest_of(reversed(ids))
    # printf '…0001\n…0002' | sha256sum
    assert digest_of(ids) == "7a70c782c5d30f61a8f57b905eaa11c41ec8ffeafaa3a0e99c4fca60044a28d4"


@pytest.mark.parametrize(
    "wrong",
    [
        {"purpose": ""},
        {"purpose": "x\0"},
        {"purpose": "x" * 201},
        {"purpose": "x", "command": ""},
        {"purpose": "x", "command": "y", "operation_id": 1},
    ],
)
def test_a_note_that_the_journal_could_not_hold_is_refused_before_anything_is_asked(wrong):
    with pytest.raises(BadInput, match="journal of key calls"):
        Note(**wrong)
