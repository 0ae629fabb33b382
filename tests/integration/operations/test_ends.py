"""What an operation came to is said to whoever comes later: VERIFIED is for good, another conclusion may begin anew, a failure goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from steward.operations import claims
from steward.operations.claims import claim
from steward.operations.errors import AlreadyEnded
from steward.operations.holding import holding
from steward.operations.steps import run_step
from steward.verdicts import Verdict
from tests.integration.operations.ground import AT_ONCE, FIRST, NIGHT, SECOND, counted, step

pytestmark = pytest.mark.without_search


def test_a_verified_period_is_not_done_again_and_says_what_it_came_to(book):
    first = claim(book, NIGHT, FIRST)
    claims.conclude(book, first, Verdict.VERIFIED, {"documents": 3}, None)
    with pytest.raises(AlreadyEnded, match="night production 2025-07-31 is done VERIFIED since") as ended:
        claim(book, NIGHT, SECOND, AT_ONCE)
    assert ended.value.result == {"documents": 3}


@pytest.mark.parametrize("verdict", [Verdict.REFUTED, Verdict.UNKNOWN])
def test_another_conclusion_may_be_followed_by_another_round_of_another_run(book, verdict):
    _calls, body = counted()
    first = claim(book, NIGHT, FIRST)
    with holding(book, first):
        run_step(step(body))
        claims.conclude(book, first, verdict, None, "a finding")
    with pytest.raises(AlreadyEnded, match="a finding"):
        claim(book, NIGHT, FIRST, AT_ONCE)
    second = claim(book, NIGHT, SECOND, AT_ONCE)
    assert (second.round, second.attempt) == (2, 2)
    with holding(book, second):
        assert run_step(step(body)) == 2


@pytest.mark.parametrize("end", ["done", "undone", "failed"])
def test_a_run_that_was_to_start_before_the_end_repeats_nothing(book, end):
    early, first = datetime.now(UTC), claim(book, NIGHT, FIRST)
    with holding(book, first):
        if end == "undone":
            with claims.turning_back(book, first, "out of stock"):
                pass
        if end == "failed":
            claims.fail(book, first, "SearchAway: no answer")
        else:
            claims.conclude(book, first, Verdict.REFUTED, None, None)
    with pytest.raises(AlreadyEnded, match=f"is {end}"):
        claim(book, NIGHT, replace(SECOND, asked_at=early), AT_ONCE)
    assert claim(book, NIGHT, replace(SECOND, asked_at=datetime.now(UTC)), AT_ONCE).attempt == 2


def test_a_failed_operation_goes_on_with_its_steps(book):
    _calls, body = counted()
    first = claim(book, NIGHT, FIRST)
    with holding(book, first):
        run_step(step(body))
        claims.fail(book, first, "SearchAway: no answer")
    second = claim(book, NIGHT, FIRST, AT_ONCE)
    with holding(book, second):
        assert run_step(step(body)) == 1
    assert second.round == 1


def test_one_that_failed_after_a_person_had_answered_goes_on_by_a_retry_of_its_run(book):
    claims.wait(book, claim(book, NIGHT, FIRST), 3600)
    claims.fail(book, claim(book, NIGHT, FIRST, AT_ONCE), "SearchAway: no answer")
    assert claim(book, NIGHT, FIRST, AT_ONCE).attempt == len(("waited", "failed", "goes on"))


def test_a_run_whose_attempts_were_given_up_does_not_come_back_by_itself(book):
    first = claim(book, NIGHT, FIRST)
    book.query(
        "UPDATE steward.operations SET state = 'failed', ended_at = clock_timestamp() WHERE id = %(id)s", id=first.id
    )
    with pytest.raises(AlreadyEnded):
        claim(book, NIGHT, FIRST, AT_ONCE)
    assert claim(book, NIGHT, SECOND, AT_ONCE).attempt == 2
