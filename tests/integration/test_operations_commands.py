"""`python -m steward.operations`, as a person at 3 a.m. uses it, on a real ledger."""

import pytest

from replica import inventory
from steward.migrations.apply import migrate
from steward.operations import claims
from steward.operations.__main__ import main
from steward.operations.claims import Identity, Run, claim
from steward.operations.effects import note_effects
from steward.operations.errors import InDoubt, Superseded
from steward.operations.holding import holding
from steward.operations.ledger import Ledger
from steward.operations.steps import Doubt, Step, run_step
from steward.settings import load
from steward.verdicts import Verdict
from tests.integration.fresh_database import fresh_database
from tests.watching.ground import the_operation, written

pytestmark = pytest.mark.without_search

MAIL = Identity("billing", "acme", "2025-07")
RUN = Run("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-00000000000d")
WHY = ["--because", "looked at it"]


@pytest.fixture(scope="module")
def database(replica):
    with fresh_database(load(inventory.settings_file(replica))) as fresh:
        migrate(fresh)
        yield fresh


@pytest.fixture
def book(database, tmp_path, monkeypatch):
    monkeypatch.setenv("STEWARD_SETTINGS", str(written(database, tmp_path)))
    book = Ledger(database)
    book.query("TRUNCATE steward.operations RESTART IDENTITY CASCADE")
    yield book
    book.close()


@pytest.fixture
def said(capsys):
    """The output of a command that succeeds; of one that is refused, what it says of that."""

    def run(*words):
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert (status, bool(out)) in {(0, True), (1, False)}
        return out or err

    return run


def reset():
    raise ConnectionResetError


def in_doubt(book):
    """An operation that stopped because nothing tells whether its mail left."""
    held = claim(book, MAIL, RUN)
    with holding(book, held):
        run_step(Step("reckon", lambda: note_effects("index", ["bill-1"])))
        with pytest.raises(ConnectionResetError):
            run_step(Step("send", reset, key="a", doubt=Doubt.STOP))
        with pytest.raises(InDoubt) as doubt:
            run_step(Step("send", reset, key="a", doubt=Doubt.STOP))
        claims.fail(book, held, f"InDoubt: {doubt.value}")
    return held


def again(book, body=reset):
    """What the next attempt's `send` gives."""
    with holding(book, claim(book, MAIL, RUN)):
        return run_step(Step("send", body, key="a", doubt=Doubt.STOP))


def test_an_operation_in_doubt_is_listed_and_shown_with_what_to_do(book, said):
    in_doubt(book)
    assert "billing acme 2025-07" in said("list", "--state", "failed", "--name", "billing")
    shown = said("show", 1)
    assert "billing acme 2025-07 is failed UNKNOWN" in shown
    assert "resolve 1 send --key a --happened --because '...'" in shown
    assert "bill-1" in shown
    assert "send (a)" in shown


def test_a_step_that_happened_is_not_done_again(book, said):
    in_doubt(book)
    told = said("resolve", 1, "send", "--key", "a", "--happened", "--result", '"m-17"', *WHY)
    assert "happened; it is taken as done. The watch starts a new run within seconds" in told
    assert the_operation(book)["due_at"] is not None
    assert again(book) == "m-17"
    assert "looked at it" in said("show", 1)


def test_a_step_that_did_not_happen_is_done_again(book, said):
    in_doubt(book)
    said("resolve", 1, "send", "--key", "a", "--did-not-happen", *WHY)
    assert again(book, lambda: "sent") == "sent"


def test_a_failed_operation_reopened_goes_on_and_anew_begins_another_round(book, said):
    in_doubt(book)
    assert "is due, at the step that was in flight" in said("reopen", 1, *WHY)
    claims.fail(book, claim(book, MAIL, RUN), "again")
    assert "is due, from its first step" in said("reopen", 1, "--anew", *WHY)
    assert claim(book, MAIL, RUN).round == 2


def test_attempts_that_died_before_a_person_reopened_it_do_not_count(book, said):
    claim(book, MAIL, RUN)
    book.query("UPDATE steward.operations SET state = 'failed', error = '1 attempts died'")
    said("reopen", 1, *WHY)
    book.query("UPDATE steward.operations SET due_at = now() - interval '1 min'")
    from steward.operations.abandoned import abandoned_operations  # noqa: PLC0415  of this one test

    assert [operation.lost for operation in abandoned_operations(book)] == [0]


def test_a_cancelled_operation_refuses_its_process_and_tells_what_it_left(book, said):
    held = claim(book, MAIL, RUN)
    with holding(book, held):
        run_step(Step("reckon", lambda: note_effects("index", ["bill-1"])))
        told = said("cancel", 1, *WHY)
        with pytest.raises(Superseded):
            run_step(Step("send", reset))
    assert "is cancelled. Its process is refused at its next step" in told
    assert "1 things it made are left" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["show", 9], "no operation 9"),
        (["list", "--state", "stuck"], "unknown state 'stuck'"),
        (["resolve", 1, "post", "--happened", *WHY], "steps that were begun and not ended: send (a)"),
        (["resolve", 1, "reckon", "--happened", *WHY], "is done: nothing is in doubt"),
        (["resolve", 1, "send", "--key", "a", "--happened", "--result", "m-17", *WHY], "--result is not JSON"),
        (["reopen", 1, "--because", " "], "the reason is empty"),
        (["cancel", 1, *WHY], "nothing is left to cancel"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_hint_and_nothing_changes(book, said, words, told):
    in_doubt(book)
    before = book.query("SELECT * FROM steward.operations"), book.query("SELECT * FROM steward.operation_steps")
    answer = said(*words)
    assert told in answer
    assert "HINT: " in answer
    assert before == (
        book.query("SELECT * FROM steward.operations"),
        book.query("SELECT * FROM steward.operation_steps"),
    )


@pytest.mark.parametrize(
    ("state", "verdict", "told"),
    [
        ("running", None, "cannot be reopened before it ends"),
        ("waiting", None, "cannot be reopened before it ends"),
        ("due", None, "is due already"),
        ("done", "VERIFIED", "nothing is left to do"),
        ("done", "REFUTED", "would give the same again"),
        ("undone", None, "would give the same again"),
    ],
)
def test_what_is_not_to_be_reopened_is_refused(book, said, state, verdict, told):
    in_doubt(book)
    book.query("UPDATE steward.operations SET state = %(state)s, verdict = %(verdict)s", state=state, verdict=verdict)
    assert told in said("reopen", 1, *WHY)
    assert the_operation(book)["state"] == state


def test_a_refuted_conclusion_may_begin_anew(book, said):
    claims.conclude(book, claim(book, MAIL, RUN), Verdict.REFUTED, None, "a finding")
    said("reopen", 1, "--anew", *WHY)
    assert (the_operation(book)["state"], the_operation(book)["round"]) == ("due", 2)
