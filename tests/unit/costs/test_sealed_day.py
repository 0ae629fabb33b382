"""The ledger's day out of sealed hours says what the same attempts add up to by hand: the contract of `LedgerDay`."""

import datetime as dt
import random
import uuid

import duckdb
import pytest

from steward.clients.costs_ledger import SealedDay
from steward.costs.cells import CLASSES
from tests.unit.costs.ground import MIDNIGHT, TODAY, Ground, Ledger

KEYS = {"v1": ("key_1", "p"), "v2": ("key_2", "p")}
LONG = {"sol": 1000}
_COLUMNS = """
    id UUID, account VARCHAR, credential_version VARCHAR, tenant VARCHAR, model_asked VARCHAR, model_served VARCHAR,
    tier_asked VARCHAR, tier_served VARCHAR, state VARCHAR, reserved_at TIMESTAMP, sent_at TIMESTAMP, reserved_input BIGINT,
    reserved_output BIGINT, input_uncached BIGINT, input_cached BIGINT, cache_write BIGINT, cache_write_5m BIGINT,
    cache_write_1h BIGINT, output BIGINT, web_searches BIGINT, is_estimate BOOLEAN, input_low BIGINT, input_high BIGINT,
    output_low BIGINT, output_high BIGINT
"""


def played(seed: int) -> Ground:
    """Attempts of every kind, over the day and the hours beside it."""
    ground, draw = Ground(), random.Random(seed)
    for _ in range(300):
        hour, minute = draw.randrange(-1, 25), draw.randrange(0, 3600) / 60
        at = {"hour": hour, "key": draw.choice(["key_1", "key_2"]), "tier": draw.choice(["default", "priority"])}
        kind = draw.random()
        if kind < 0.1:
            ground.unknown((draw.randrange(1, 900), draw.randrange(500)), **at)
            continue
        named = {"input": draw.randrange(1, 300), "cached": draw.randrange(200), "output": draw.randrange(50)}
        if kind < 0.2:
            named = {"input": draw.randrange(5, 300), "output": 5}
            ground.entered(minute=minute, estimate=(4, 3, 2, 1), **named, **at)
            continue
        if kind > 0.9:
            named["input"] += LONG["sol"]
        context = "long" if named["input"] + named["cached"] > LONG["sol"] else "base"
        ground.entered(minute=minute, context=context, **named, **at)
    for row in ground.rows:
        row.attempt = str(uuid.UUID(int=draw.getrandbits(128)))
    return ground


def sealed(ground: Ground, file) -> SealedDay:
    """The same attempts as rows of sealed hours."""
    database = duckdb.connect()
    database.execute(f"CREATE TABLE hours ({_COLUMNS})")
    versions = {key: version for version, (key, _) in KEYS.items()}
    rows = []
    for row in ground.rows:
        at = dt.datetime.fromtimestamp(row.at, dt.UTC).replace(tzinfo=None)
        prompt, output = sum(row.quantities[:5]), row.quantities[5]
        below = row.estimate or (0, 0, 0, 0)
        bounds = (prompt - below[0], prompt + below[2], output - below[1], output + below[3])
        settled = row.reserved is None
        values = [row.attempt, row.cell.account, versions[row.cell.key], "acme", row.cell.model]
        # Nobody told of an attempt without an end what served it.
        values += [row.cell.model if settled else None, row.cell.tier, row.cell.tier if settled else None]
        values += ["settled" if settled else "unknown", at, at, *(row.reserved or (10, 10))]
        values += list(row.quantities) if settled else [None] * len(CLASSES)
        values += [bool(row.estimate), *(bounds if row.estimate else (None,) * 4)]
        rows.append(values)
    database.executemany(f"INSERT INTO hours VALUES ({', '.join('?' * len(rows[0]))})", rows)  # noqa: S608  question marks
    database.execute("INSERT INTO hours SELECT id, 'other', * EXCLUDE (id, account) FROM hours LIMIT 20")
    database.execute(f"COPY hours TO '{file}' (FORMAT parquet)")
    return SealedDay([file], ground.account, TODAY, KEYS, LONG, default_tier="default")


@pytest.fixture(scope="module", params=range(2))
def both(request, tmp_path_factory):
    ground = played(request.param)
    day = sealed(ground, tmp_path_factory.mktemp("hours") / "hours.parquet")
    yield day, Ledger(ground.rows)
    day.close()


def by_cell(entered):
    return {each.cell: each for each in entered if each.requests or each.unknown}


def test_cells_of_the_day_and_the_hours_beside_it_are_summed_up_as_by_hand(both):
    day, by_hand = both
    assert by_cell(day.entered) == by_cell(by_hand.entered)
    assert {each.cell.hour for each in day.entered} >= {MIDNIGHT - 3600, MIDNIGHT + 86_400}


def test_minutes_of_some_hours_are_summed_up_as_by_hand(both):
    day, by_hand = both
    some = sorted({each.cell for each in by_hand.entered})[::2]
    folded = [some[0]._replace(context=""), *some[1:]]
    assert by_cell(day.by_minute(folded).entered) == by_cell(by_hand.by_minute(folded).entered)


def test_attempts_of_cells_are_those_that_settled_in_them(both):
    day, by_hand = both
    some = sorted({each.cell for each in by_hand.entered})[:10]
    found = sorted(day.attempts(some), key=lambda each: each.attempt)
    assert found == sorted(by_hand.attempts(some), key=lambda each: each.attempt)
    minutes = [each.cell for each in by_hand.by_minute(some).entered]
    assert {each.attempt for each in day.by_minute(some).attempts(minutes)} == {each.attempt for each in found}


def test_no_cell_has_no_minutes_and_no_attempts(both):
    day, _ = both
    assert (list(day.by_minute([]).entered), list(day.attempts([]))) == ([], [])


def test_tenants_have_what_settled_on_the_day_itself(both):
    day, by_hand = both
    (cells,) = day.by_tenant().values()
    on_the_day = [each for each in by_hand.entered if MIDNIGHT <= each.cell.hour < MIDNIGHT + 86_400]
    for index in range(len(CLASSES)):
        assert sum(quantities[index] for _, quantities in cells) == sum(each.quantities[index] for each in on_the_day)
    assert {cell.context for cell, _ in cells} == {"base", "long"}
