"""The bench's own counting, and what it sends: a figure is worth what these are."""

import asyncio
import json
import random
from collections import Counter
from datetime import UTC, datetime

import pytest

from bench.webhooks.counting import Tally, tally
from bench.webhooks.deliveries import AGAIN, STARTS, Mill
from bench.webhooks.killing import schedule
from bench.webhooks.loss import ROUNDS, VICTIMS, Sent, plan
from bench.webhooks.sending import Answered, Sender, arrive
from bench.webhooks.speed import arrivals, event_of, figures
from steward.webhooks import github
from steward.webhooks.signatures import demand_github_signature

SECRET = "It's a Secret to Everybody"


def read(made):
    headers = {name.lower(): value for name, value in made.headers.items()}
    demand_github_signature([SECRET.encode()], headers, made.body)
    return github.read("github", headers, made.body, now=datetime.now(UTC))


def test_an_acknowledged_event_without_a_run_is_lost_and_each_run_after_the_first_is_doubled():
    sent = ["a", "b", "c", "d"]
    assert tally(sent, sent, ["a", "a", "a", "b", "c", "c"]) == Tally(lost=1, doubled=3, unasked=0, runs=6)
    assert tally(sent, sent, sent) == Tally(0, 0, 0, 4)


def test_what_was_not_acknowledged_may_have_its_run_or_none_but_not_two():
    assert tally(["a", "b"], ["a"], ["a"]).lost == 0
    assert tally(["a", "b"], ["a"], ["a", "b"]) == Tally(0, 0, 0, 2)
    assert tally(["a", "b"], ["a"], ["a", "b", "b"]).doubled == 1


def test_a_run_of_what_nobody_sent_is_told():
    assert tally(["a"], ["a"], ["a", "z"]).unasked == 1


def test_deliveries_are_whole_signed_and_known_by_what_the_run_is_told():
    mill = Mill(7, SECRET)
    made = [mill.new(STARTS) for _ in range(200)]
    assert {each.headers["X-GitHub-Event"] for each in made} == {"deployment", "deployment_status", "workflow_run"}
    assert all(read(each).key.startswith(each.event) for each in made)
    sizes = [len(each.body) for each in made]
    assert min(sizes) > 5_000
    assert 15_000 < max(sizes) < 35_000
    assert len({each.event for each in made}) == 200


def test_a_repeat_is_what_the_inbox_has_to_tell_by_three_ways():
    mill = Mill(7, SECRET)
    first = mill.new(STARTS)
    of = {how: read(mill.again(first, how)) for how in AGAIN}
    was = read(first)
    assert {each.key for each in of.values()} == {was.key}
    assert (of["redelivered"].delivery, of["redelivered"].body) == (was.delivery, was.body)
    assert of["replayed"].delivery != was.delivery
    assert of["replayed"].body == was.body
    assert of["told anew"].delivery != was.delivery
    assert of["told anew"].body != was.body


def test_the_same_seed_sends_the_same_events_at_the_same_moments():
    assert [Mill(3, SECRET).new(STARTS).event for _ in range(2)] == [Mill(3, SECRET).new(STARTS).event] * 2
    draw = lambda: (plan(random.Random(3), 100, 50), arrivals(random.Random(3), 10, 20))  # noqa: E731
    assert draw() == draw()


def test_a_plan_has_each_event_once_first_and_repeats_only_what_was_sent():
    planned = plan(random.Random(1), 1000, 400)
    assert [each.event for each in planned if not each.again] == list(range(400))
    seen = set()
    for each in planned:
        assert each.again == (each.event in seen)
        seen.add(each.event)
    with pytest.raises(ValueError, match="0 events in 5 deliveries"):
        plan(random.Random(1), 5, 0)


def test_each_victim_is_killed_three_times_and_one_stays_away_once():
    planned = list(schedule(random.Random(1), VICTIMS, ROUNDS, outage=True))
    assert Counter(victim for _, victim in planned) == {**dict.fromkeys(VICTIMS, 3), "outage": 1}


def test_a_request_that_could_not_be_sent_in_time_is_counted_from_when_it_was_due():
    async def slow():
        return 202

    def stall(number):
        # What keeps the sender itself: both others are due meanwhile.
        if number == 0:
            until = asyncio.get_running_loop().time() + 0.05
            while asyncio.get_running_loop().time() < until:
                pass
        return slow

    answered = asyncio.run(arrive([0.0, 0.001, 0.002], stall))
    assert len(answered) == 3
    assert min(each.took_seconds for each in answered) >= 0.04


def test_a_request_without_an_answer_counts_as_long_as_it_was_waited_for():
    found = figures([Answered(0.0, 0.001, 202)] * 98 + [Answered(1.0, 10.0, 0)] * 2)
    assert found["p99_ms"] == found["max_ms"] == 10_000
    assert found["deliveries"] == 100


def test_whoever_tries_again_does_so_until_acknowledged_and_a_quitter_only_once(monkeypatch):
    monkeypatch.setattr("bench.webhooks.loss._PAUSES_SECONDS", (0.0,))
    for quits in (False, True):
        monkeypatch.setattr("bench.webhooks.loss._QUITTERS_PERCENT", 100.0 if quits else -1.0)
        sent, answers = Sent(random.Random(1)), iter([0, 503, 202])

        async def post(answers=answers):
            return next(answers)

        asyncio.run(sent.sending("a", post)())
        assert sent.events == {"a"}
        assert sent.acknowledged == (set() if quits else {"a"})
        assert sent.statuses == ({0: 1} if quits else {0: 1, 503: 1, 202: 1})


def test_the_rival_gets_the_same_payload_and_one_id_an_event():
    mill = Mill(7, SECRET)
    first = mill.new(STARTS)
    ((one,), (other,)) = (json.loads(event_of(each, "bench")) for each in (first, mill.again(first, "told anew")))
    assert one["id"] == other["id"]
    assert one["payload"]["body"] == json.loads(first.body)


def test_a_connection_that_the_server_has_closed_meanwhile_costs_no_request():
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.close()

    async def twice():
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            sender = Sender(server.sockets[0].getsockname()[1], "/")
            first = await sender.post({}, b"")
            await sender._idle[0].reader.read()
            return first, await sender.post({}, b"")

    assert asyncio.run(twice()) == (204, 204)
