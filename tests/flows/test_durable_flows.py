"""Durable flows in this process, on a real Prefect server and ledger: what each way to run a step or a flow comes to."""

import pytest
from prefect import tags
from prefect.client.orchestration import get_client
from prefect.exceptions import CancelledRun

from steward.operations.claims import Identity, Run, Terms, claim
from steward.operations.errors import AlreadyEnded, DeadlinePassed
from steward.verdicts import NotVerified
from tests.flows import durable_samples as samples
from tests.flows.durable_ground import operation_of, unique

pytestmark = pytest.mark.without_search

AT_ONCE = Terms(wait_seconds=0)


@pytest.fixture
def subject():
    return unique("subject")


def test_a_durable_flow_keeps_its_form_and_its_docstring():
    form = samples.verified.parameters
    assert list(form.properties) == ["log", "subject"]
    assert form.properties["subject"]["description"] == "What it is about."
    assert form.properties["subject"]["type"] == "string"


def test_a_run_of_a_verified_period_gives_the_recorded_result_and_does_nothing(book, effects, subject):
    first = samples.verified(effects.path, subject)
    again = samples.verified(effects.path, subject, return_state=True)
    assert (again.type, again.name) == ("COMPLETED", "AlreadyDone")
    assert "is done VERIFIED since" in again.message
    assert samples.verified(effects.path, subject) == first == {"verdict": "VERIFIED", "thing": "A"}
    assert list(effects) == ["made a"]


def test_a_run_and_what_was_made_in_its_place_do_once_what_was_asked_for_once(book, effects, subject):
    with tags("instead-of:1d0c8a2e"):
        samples.each_run(effects.path, subject)
        again = samples.each_run(effects.path, subject, return_state=True)
    assert again.name == "AlreadyDone"
    samples.each_run(effects.path, subject)
    assert list(effects) == ["made a"] * 2


def test_a_run_that_finds_another_at_work_is_skipped_and_does_nothing(book, effects, subject):
    claim(book, Identity("held", subject, "1", resource=f"verified/{subject}"), Run(), AT_ONCE)
    state = samples.verified(effects.path, subject, return_state=True)
    assert (state.type, state.name) == ("CANCELLED", "Skipped")
    assert f"held by held {subject} 1" in state.message
    with pytest.raises(CancelledRun):
        state.result()
    assert list(effects) == []


def test_a_run_that_was_overtaken_does_nothing_more_and_is_no_failure(book, effects, subject):
    state = samples.overtaken(effects.path, subject, return_state=True)
    assert (state.type, state.name) == ("CANCELLED", "Superseded")
    assert list(effects) == ["made a"]
    assert operation_of(book, "overtaken", subject)["state"] == "running"


def test_steps_reach_the_operation_from_threads_of_the_task_runner(book, effects, subject):
    assert samples.spread(effects.path, subject) == ["ALONE", "X", "Y", "Z"]
    steps = book.query(
        "SELECT key FROM steward.operation_steps WHERE operation_id = %(id)s ORDER BY key",
        id=operation_of(book, "spread", subject)["id"],
    )
    assert [step["key"] for step in steps] == ["alone", "x", "y", "z"]


def test_a_plain_subflow_is_part_of_its_parents_operation_and_a_durable_one_has_its_own(book, effects, subject):
    assert samples.composed(effects.path, subject) == ["IN A PART", "IN A DURABLE PART", "AFTER THE PARTS"]
    whole, part = operation_of(book, "composed", subject), operation_of(book, "durable-part", f"{subject}/part")
    assert effects.count(f"whole of token {whole['token']}") == effects.count(f"part of token {part['token']}") == 1
    owners = book.query(
        "SELECT key, operation_id FROM steward.operation_steps WHERE operation_id IN (%(whole)s, %(part)s) ORDER BY key",
        whole=whole["id"],
        part=part["id"],
    )
    assert [(row["key"], row["operation_id"]) for row in owners] == [
        ("after the parts", whole["id"]),
        ("in a durable part", part["id"]),
        ("in a part", whole["id"]),
    ]


def test_a_failed_operation_is_resumed_with_its_steps_by_a_retry_of_the_flow(book, effects, subject):
    assert samples.fails_once(effects.path, subject) == "A"
    assert list(effects) == ["made a", "attempt 1 round 1", "attempt 2 round 1"]


def test_a_conclusion_is_not_repeated_by_a_retry_of_the_flow(book, effects, subject):
    state = samples.refuted(effects.path, subject, return_state=True)
    assert state.type == "FAILED"
    with pytest.raises(AlreadyEnded, match=r"is done REFUTED since .*: one document is missing"):
        state.result()
    assert list(effects) == ["made a"]
    assert operation_of(book, "refuted", subject)["round"] == 1


def test_a_conclusion_is_repeated_by_another_run(book, effects, subject):
    for _ in range(2):
        with pytest.raises((AlreadyEnded, NotVerified)):
            samples.refuted(effects.path, subject)
    assert list(effects) == ["made a", "made a"]
    assert operation_of(book, "refuted", subject)["round"] == 2


def test_a_step_whose_task_is_retried_after_its_result_was_recorded_gives_that(book, effects, subject):
    assert samples.loses_report(effects.path, subject) == "A"
    assert list(effects) == ["made a", "returned", "returned"]


def test_prefects_own_time_out_is_refused_before_anything_is_done(book, effects, subject):
    with pytest.raises(TypeError, match=r"timed has timeout_seconds: .* Terms\(deadline_seconds"):
        samples.timed(effects.path, subject)
    assert list(effects) == []
    assert book.query("SELECT 1 FROM steward.operations WHERE name = 'timed'") == []


def test_past_its_deadline_a_flow_begins_no_step_but_cleans_up(book, effects, subject):
    with pytest.raises(DeadlinePassed):
        samples.late(effects.path, subject)
    assert list(effects) == ["made in time", "cleaned"]
    assert operation_of(book, "late", subject)["state"] == "failed"


def test_prefect_keeps_no_result_of_a_durable_flow_or_step(book, effects, subject):
    state = samples.verified(effects.path, subject, return_state=True)
    with get_client(sync_client=True) as client:
        held = client.read_flow_run(state.state_details.flow_run_id).state
    assert held.data is None or held.data.storage_key is None
