"""Our limits against a provider's: above is wrong, far below is wrong, and what was not read is not known."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from steward.ai.catalog import Catalog
from steward.ai.errors import LimitsUnreadable
from steward.ai.limit_drift import AccountLimits, Ours, Source, Theirs, Untold, compare_limits, ours_of
from steward.ai.limit_readings import anthropic_limits, openai_limits
from steward.ai.limit_report import DriftBegun, DriftReport, LimitsDrifted, compare_all, render_drift
from steward.verdicts import Verdict

VERIFIED, REFUTED, UNKNOWN = Verdict
NOW = datetime(2026, 11, 26, 5, 20, tzinfo=UTC)


def ours(model="gpt", account="a", **limits):
    return Ours(account=account, model=model, limits={"requests": 100, **limits})


def theirs(*models, **limits):
    return Theirs(models=models or ("gpt",), **limits)


def compared(routes, *limits, source=Source.ADMINISTRATION, least=50):
    return compare_limits(routes, AccountLimits(account="a", source=source, limits=limits, note="no admin key"), least)


@pytest.mark.parametrize(
    ("requests", "verdict", "word"),
    [(100, VERIFIED, ""), (200, VERIFIED, ""), (99, REFUTED, "will refuse"), (201, REFUTED, "50% of the provider's")],
)
def test_a_limit_of_ours_is_at_most_theirs_and_at_least_the_share_asked_for(requests, verdict, word):
    found = compared([ours()], theirs(requests=requests))
    assert found.verdict is verdict
    assert [word in each for each in found.findings] == [True] * bool(word)


def test_as_low_as_we_like_is_an_answer_too():
    assert compared([ours()], theirs(requests=10**6), least=0).verdict is VERIFIED


@pytest.mark.parametrize(
    ("limits", "told", "seen"),
    [
        ({"tokens": 900}, {"tokens": 1000}, 900),
        # One kind each bounds both together, and both together each kind.
        ({"input_tokens": 600, "output_tokens": 300}, {"tokens": 1000}, 900),
        ({"input_tokens": 600}, {"tokens": 1000}, None),
        ({"tokens": 900}, {"input_tokens": 1000}, 900),
        ({"tokens": 900, "output_tokens": 600}, {"output_tokens": 1000}, 600),
        ({}, {"output_tokens": 1000}, None),
    ],
)
def test_limits_on_kinds_of_tokens_and_on_all_of_them_bound_each_other(limits, told, seen):
    [drift] = compared([ours(**limits)], theirs(**told)).drifts
    assert drift.ours == seen
    # No limit of ours is above any of theirs.
    assert drift.verdict is (REFUTED if seen is None else VERIFIED)


def test_models_that_share_a_limit_share_it_in_our_catalog_too():
    found = compared([ours("one"), ours("two")], theirs("one", "two", "three", requests=150))
    assert (found.verdict, found.drifts[0].ours) == (REFUTED, 200)
    assert found.findings[0].startswith("a:one and a:two: requests a minute are 200")


def test_a_model_that_the_administration_does_not_list_is_wrong_and_one_that_headers_did_not_tell_of_is_not_known():
    listed = theirs("gpt", requests=100)
    assert compared([ours(), ours("gone")], listed).verdict is REFUTED
    found = compared([ours(), ours("quiet")], listed, source=Source.HEADERS)
    assert found.verdict is UNKNOWN
    assert "no admin key" in found.findings[0]


def test_every_route_is_compared_once_whatever_aliases_lead_there():
    route = {"account": "a", "model": "gpt", "most_output_tokens": 9, "limits": {"requests": 5}}
    catalog = Catalog.model_validate({"alias": [{"name": name, "route": [route]} for name in ("one", "two")]})
    assert [each.name for each in ours_of(catalog)] == ["a:gpt"]


def test_what_openai_lists_is_read():
    rows = [{"object": "project.rate_limit", "id": "rl-gpt", "model": "gpt", "max_images_per_1_minute": 5}]
    told = {"max_requests_per_1_minute": 7, "max_tokens_per_1_minute": 8}
    assert openai_limits([rows[0] | told]) == (theirs("gpt", requests=7, tokens=8),)
    with pytest.raises(LimitsUnreadable, match="max_requests_per_1_minute"):
        openai_limits(rows)


def values(**limits):
    return [{"type": name, "value": value} for name, value in limits.items()]


def test_what_a_workspace_has_of_its_own_holds_where_it_is_lower():
    rows = [
        {
            "id": "rl_1",
            "models": ["claude", "claude-latest"],
            "limits": values(
                requests_per_minute=50, input_tokens_per_minute_cache_aware=5000, output_tokens_per_minute=900, x=1
            ),
        },
        {"id": "rl_2", "models": None, "limits": values(requests_per_minute=1)},
    ]
    own = [
        {
            "rate_limit_id": "rl_1",
            "models": ["claude"],
            "limits": values(requests_per_minute=60, input_tokens_per_minute=4000),
        }
    ]
    expected = theirs("claude", "claude-latest", requests=50, input_tokens=4000, output_tokens=900)
    assert anthropic_limits(rows, own) == (expected,)
    # The API's first version tells no ids.
    nameless = [[{"models": row["models"], "limits": row["limits"]} for row in listed] for listed in (rows, own)]
    assert anthropic_limits(*nameless) == (expected,)
    with pytest.raises(LimitsUnreadable):
        anthropic_limits([{"models": ["claude"]}], [])


def report(*told):
    begun = DriftBegun(started_at=NOW, catalog="0" * 64, ours=(ours(), ours(account="b")), least_percent=50)
    verdict, found = compare_all(begun, told)
    return DriftReport(
        period="2026-11-26", attempt=1, verdict=verdict, begun=begun, told=told, compared=found, ended_at=NOW
    )


def test_one_account_that_tells_nothing_leaves_the_others_compared_and_what_is_wrong_stands_first():
    untold = Untold(account="a", reason="no admin key")
    wrong = AccountLimits(account="b", source=Source.ADMINISTRATION, limits=(theirs(requests=1),))
    well = AccountLimits(account="b", source=Source.ADMINISTRATION, limits=(theirs(requests=100),))
    assert report(untold, well).verdict is UNKNOWN
    found = report(untold, wrong)
    assert found.verdict is REFUTED
    assert found.findings[0].startswith("b:gpt")
    assert "b:gpt" in LimitsDrifted(found).message
    page = render_drift(found)
    assert page.index("verdict: REFUTED") < page.index("**b:gpt") < page.index("no admin key")
    assert "| b:gpt | requests | 100 | 1 | administration | REFUTED |" in page
