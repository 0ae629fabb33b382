"""Who is asked: aliases and routes from a file, by weight and health, and again only within a budget."""

import random
from collections import Counter
from pathlib import Path

import pytest

import deployments
from steward.ai.catalog import Route, load_catalog
from steward.ai.errors import CatalogUnusable
from steward.ai.health import PROBE_SECONDS, SLICE, UNUSED, WINDOW, Door, Health, Seen, assess, slice_of
from steward.ai.retries import RetryBudget
from steward.ai.routing import order

CATALOG = Path(deployments.__file__).parent / "gateway" / "catalog.toml"
NOW = 1_900_000_003.0


def route(name, weight=1.0):
    return Route.model_validate(
        {"account": name, "model": "m", "weight": weight, "most_output_tokens": 1, "limits": {"requests": 1}}
    )


def lately(**told):
    return {slice_of(NOW): Seen(**told)}


# The file


def test_the_catalog_that_is_shipped_is_usable():
    catalog = load_catalog(CATALOG)
    assert [each.name for each in catalog.routes("chat")] == ["openai:gpt-6-luna", "anthropic:claude-sonnet-5-5"]
    assert catalog.accounts == {"openai", "anthropic"}
    assert catalog.routes("nothing") == ()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "embeddings"', 'name = "chat"', "alias chat is there twice"),
        ("weight = 3", "weight = 0", "alias.0.route.0.weight: Input should be greater than 0"),
        ("weight = 3", "wait = 3", "alias.0.route.0.wait: Extra inputs are not permitted"),
        ("requests = 5000, tokens = 5000000", "requests = 0", "alias.1.route.0.limits.requests"),
        (
            'model = "text-embedding-3-small"',
            'model = "gpt-6-luna"',
            "route openai:gpt-6-luna has two different limits",
        ),
        ("[[alias]]", "[[alias", "cannot be read"),
    ],
)
def test_a_catalog_that_contradicts_itself_is_refused_with_what_is_wrong(tmp_path, old, new, said):
    file = tmp_path / "catalog.toml"
    file.write_text(CATALOG.read_text().replace(old, new))
    with pytest.raises(CatalogUnusable) as raised:
        load_catalog(file)
    assert said in raised.value.message


def test_a_catalog_that_is_not_there_is_told(tmp_path):
    with pytest.raises(CatalogUnusable, match="cannot be read"):
        load_catalog(tmp_path / "none.toml")


# Health


def test_a_route_that_nobody_used_is_as_good_as_any():
    assert assess({}, NOW) == UNUSED
    assert (UNUSED.score, UNUSED.door) == (1.0, Door.OPEN)


def test_failures_and_slowness_lower_the_score():
    well, slow, failing = (
        assess(lately(answered=8, first_token_ms=800), NOW),
        assess(lately(answered=8, first_token_ms=16_000), NOW),
        assess(lately(answered=8, failed=2, first_token_ms=800), NOW),
    )
    assert well.score > failing.score > slow.score
    assert (slow.first_token_ms, slow.score) == (2000.0, 0.5)


def test_half_of_at_least_five_failing_shuts_the_door():
    assert assess(lately(answered=0, failed=4), NOW).door is Door.OPEN
    assert assess(lately(answered=5, failed=5), NOW).door is Door.SHUT
    assert assess(lately(answered=6, failed=5), NOW).door is Door.OPEN


def test_what_is_older_weighs_less_and_is_forgotten():
    before, now = slice_of(NOW) - 1, slice_of(NOW)
    assert assess({before: Seen(failed=8), now: Seen(answered=4)}, NOW).error_rate == 0.5
    assert assess({before: Seen(failed=8), now: Seen(answered=5)}, NOW).door is Door.OPEN
    assert assess({slice_of(NOW - WINDOW): Seen(failed=100)}, NOW) == UNUSED
    # A clock of another worker that runs ahead.
    assert assess({slice_of(NOW + SLICE): Seen(failed=100)}, NOW) == UNUSED


def test_a_door_that_one_probe_a_second_finds_well_opens_within_the_window():
    outage, seconds = {slice_of(NOW): Seen(failed=10_000)}, 0.0
    seen = dict(outage)
    while assess(seen, NOW + seconds).door is Door.SHUT:
        seconds += PROBE_SECONDS
        at = slice_of(NOW + seconds)
        before = seen.get(at, Seen())
        seen[at] = Seen(before.answered + 1, before.failed)
        assert seconds <= WINDOW


# The order


def test_open_routes_are_first_by_weight_and_health():
    routes = [route("a", 3), route("b", 1), route("c", 2)]
    health = {"c:m": Health(0.5, None, Door.OPEN)}
    chosen = random.Random(7)
    firsts = Counter(order(routes, health, chosen)[0].account for _ in range(5000))
    assert {name: round(count / 1000) for name, count in firsts.items()} == {"a": 3, "b": 1, "c": 1}


def test_each_route_is_tried_once_and_shut_ones_last():
    routes = [route("a"), route("b"), route("c")]
    health = {"a:m": Health(1.0, None, Door.SHUT), "b:m": Health(0.6, None, Door.SHUT)}
    for seed in range(20):
        assert [each.account for each in order(routes, health, random.Random(seed))] == ["c", "b", "a"]


# The budget


def test_retries_are_a_fifth_of_requests_in_the_long_run():
    now = [0.0]
    budget = RetryBudget(share=0.1, clock=lambda: now[0])
    made = 0
    for _ in range(10_000):
        now[0] += 0.001
        budget.request()
        made += budget.retry()
    # A fifth, and one a second of this worker's share beside it.
    assert made == pytest.approx(2000 + 10, abs=2)


def test_a_quiet_worker_may_retry_and_saves_up_no_storm():
    now = [0.0]
    budget = RetryBudget(clock=lambda: now[0])
    assert sum(budget.retry() for _ in range(50)) == 10
    now[0] += 3600
    assert sum(budget.retry() for _ in range(1000)) == 100
