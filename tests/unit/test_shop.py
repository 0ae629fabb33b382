"""The sample shop's users, fates and releases, and what its host tells of a release that ended."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

import pytest

from demo.shop import releases
from demo.shop.fates import errs, finds_nothing, waits_seconds
from demo.shop.releases import Dials, NoSuchRelease
from demo.shop.users import Load, Users, clicks, main, sessions
from demo.shop.visits import NotLoopback, address
from demo.shop.words import last_words
from steward.errors import BadInput

USERS = [f"user-{number}" for number in range(20_000)]


def load(**fields):
    return Load(url="http://127.0.0.1:1", **{"rate": 50, "seconds": 40, **fields})


def test_a_users_fate_is_the_same_at_each_visit_and_as_frequent_as_the_release_says():
    at_one, at_five = (Dials(erring_percent=percent, median_ms=20, spread=0.5) for percent in (1, 5))
    err_at_one, err_at_five = ({user for user in USERS if errs(dials, user, 0)} for dials in (at_one, at_five))
    assert err_at_one < err_at_five
    # Binomial: five standard deviations.
    assert len(err_at_one) == pytest.approx(200, abs=70)
    assert len(err_at_five) == pytest.approx(1000, abs=155)
    waits = sorted(waits_seconds(at_one, user, 0) for user in USERS)
    assert waits[10_000] == pytest.approx(0.020, rel=0.03)
    assert waits[19_000] == pytest.approx(0.020 * 2.276, rel=0.04)
    assert {user for user in USERS if errs(at_five, user, 1)} != err_at_five


def test_who_finds_nothing_is_as_fated_as_who_errs_and_another():
    dials = Dials(erring_percent=5, median_ms=20, fruitless_percent=5)
    fruitless, erring = ({user for user in USERS if fated(dials, user, 0)} for fated in (finds_nothing, errs))
    assert len(fruitless) == pytest.approx(1000, abs=155)
    assert len(fruitless & erring) == pytest.approx(50, abs=35)
    assert not any(finds_nothing(Dials(erring_percent=5, median_ms=20), user, 0) for user in USERS)


def test_every_release_that_was_built_can_be_read_and_no_other_file_can():
    assert {"steady", "good", "slow", "erring", "stillborn", "sickly"} <= set(releases.names())
    for name in releases.names():
        assert releases.read(name).description
    for name in ("nope", "../shop/releases/good", "good.toml", "", "Good"):
        with pytest.raises(NoSuchRelease, match=r"HINT: known: .*erring.*, good"):
            releases.read(name)


def test_a_release_that_cannot_be_read_is_told_by_its_name(tmp_path):
    (tmp_path / "odd.toml").write_text('description = "it has no dials"')
    with pytest.raises(BadInput, match="release odd cannot be read"):
        releases.read("odd", tmp_path)


def test_users_come_as_a_poisson_process_and_are_the_same_with_the_same_seed():
    due = list(sessions(load()))
    assert due == list(sessions(load()))
    assert due != list(sessions(load(seed=1)))
    assert len(due) == pytest.approx(2000, abs=225)
    counted = Counter(int(each.due) for each in due)
    mean = len(due) / 40
    spread = sum((counted[second] - mean) ** 2 for second in range(40)) / 40
    # Of a Poisson process the variance is the mean; of a regular one it would be nothing.
    assert 0.4 < spread / mean < 2
    known = Counter(each.user for each in due)
    assert len(known) == pytest.approx(1400, abs=110)
    assert len({each.user for each in sessions(load(users=10))}) == 10


def test_a_session_searches_first_and_asks_only_what_may_be_asked_again():
    plans = [list(clicks(each, 0.5)) for each in sessions(load())]
    assert {plan[0].counted_as for plan in plans} == {"/search"}
    assert {(click.method, click.counted_as) for plan in plans for click in plan} == {
        ("GET", "/search"),
        ("GET", "/products"),
        ("PUT", "/basket"),
        ("GET", "/basket"),
    }
    pauses = [click.after for plan in plans for click in plan[1:]]
    assert sum(pauses) / len(pauses) == pytest.approx(0.5, rel=0.15)


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1:80",
        "http://example.net:80",
        "http://127.0.0.1.example.net:80",
        "http://127.0.0.1@192.0.2.1:80",
        "https://127.0.0.1:80",
        "http://127.0.0.1",
        "http://127.0.0.1:99999",
        "http://0.0.0.0:80",
        "nonsense",
    ],
)
def test_no_load_is_made_beyond_the_machine(url):
    with pytest.raises(NotLoopback):
        Users(load().model_copy(update={"url": url}))


def test_loopback_is_known_by_its_address_and_not_by_what_a_resolver_says():
    assert address("http://localhost:80") == ("127.0.0.1", 80)
    assert address("http://[::1]:80") == ("::1", 80)


def test_a_load_out_of_bounds_is_refused(capsys):
    assert main(["--url", "http://127.0.0.1:1", "--rate", "1000", "--seconds", "1"]) == 2
    assert "less than or equal to 500" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", "closed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", "reset"),
        (b"SSH-2.0-other\r\n\r\n", "garbled"),
        (b"HTTP/1.1 503 No\r\ncontent-length: 0\r\nx-variant: on\r\n\r\n", "503"),
        (None, "refused"),
    ],
)
def test_each_request_that_fails_is_counted_by_how_it_did(answer, kind):
    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async def visited():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        if answer is None:
            server.close()
        users = Users(
            load(rate=200, seconds=0.05, think_seconds=0).model_copy(update={"url": f"http://127.0.0.1:{port}"})
        )
        await users.come()
        server.close()
        return users.counts

    counts = asyncio.run(visited())
    report = counts.report()
    assert report.sessions > 0
    assert dict(report.failures) == {kind: report.requests}
    assert report.failed == report.requests > 0
    assert dict(report.failed_users_by_variant) == ({"on": report.users} if kind == "503" else {})
    assert json.loads(json.dumps(report.as_json()))["failed"] == report.failed


def test_a_kept_connection_that_the_server_closed_is_opened_anew_and_the_request_not_lost():
    async def serve(reader, writer):
        with_room = await reader.readuntil(b"\r\n\r\n")
        assert with_room
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        writer.close()

    async def visited():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            users = Users(load(rate=200, seconds=0.1, think_seconds=0.001).model_copy(update={"url": url}))
            await users.come()
            return users.counts.report()

    report = asyncio.run(visited())
    assert report.failed == 0
    assert 0 < report.retried < report.requests


def test_last_words_are_the_last_and_hold_no_secret(tmp_path):
    log = tmp_path / "green.log"
    lines = [f"line {number}" for number in range(5000)]
    lines += ["could not connect: postgresql://shop:hunter2@db/shop", "password=hunter3 was refused", "salt s4lt"]
    log.write_text("\n\n".join(lines))
    words = last_words(log, ["s4lt"])
    assert len(words) == 12
    assert words[-4:] == [
        "line 4999",
        "could not connect: postgresql://***@db/shop",
        "password=*** was refused",
        "salt ***",
    ]
    assert last_words(tmp_path / "none.log", []) == []
