"""The sample shop on the replica: what its users saw is what was counted, and its host keeps one process on each port."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import time

import httpx
import psutil
import pytest

from demo.shop import releases
from demo.shop.colours import _TAG
from demo.shop.fates import errs
from demo.shop.users import Load, coming
from replica import start, stop
from replica.servers import SERVERS
from replica.supervision import Keeper
from steward.clients.application_host import (
    ApplicationHost,
    HostAway,
    HostRefused,
    NothingPlaced,
    ReleaseDidNotStart,
    UnknownColour,
    UnknownRelease,
    open_application_host,
)
from steward.clients.flag_errors import NoSuchFlag
from steward.clients.flag_outcomes import read_totals
from steward.clients.flag_store import change_flag, kill_flag, read_flag
from steward.clients.postgres import connect
from steward.errors import is_transient
from tests.pushing import searching

pytestmark = pytest.mark.without_search

WAIT_SECONDS = 60
FLAG = "new-search"


@pytest.fixture(scope="module")
def place(replica):
    place = start.up(replica.state, SERVERS, ["shop"])
    yield place
    stop.down(place.state, SERVERS, ["shop"])


@pytest.fixture
def host(place, settings):
    with open_application_host(settings, "production") as host:
        yield host
        for colour in ("blue", "green"):
            host.empty(colour)


def eventually(condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return value


def expose(settings, percent, *, rollout, step):
    """From nobody on: a split that shrank would turn users back."""
    with connect(settings) as connection:
        try:
            version = read_flag(connection, FLAG).version
        except NoSuchFlag:
            version = 0
        for share in (0, percent):
            flag = searching(share, rollout=rollout, step=step if share else 0, slow_ms=10_000.0)
            version = change_flag(connection, flag, who="ada", why="a test", expected_version=version).version


def totals(settings, rollout):
    with connect(settings) as connection:
        return {(each.step, each.variant, each.kind): each.users for each in read_totals(connection, FLAG, rollout)}


def standing(host, colour):
    """What is there, unless the host is not."""
    with contextlib.suppress(HostAway):
        return host.colour(colour)
    return None


def hosted(place, colour):
    """Processes of *colour*, by whatever host."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            tag = process.environ().get(_TAG, "")
            if tag == f"{place.folder('shop')}/colours/{colour}" and process.status() != psutil.STATUS_ZOMBIE:
                yield process.pid


def test_what_was_counted_of_users_is_what_they_saw_and_a_kill_reaches_all_of_them(host, settings):
    rollout, release = secrets.token_hex(4), releases.read("erring")
    expose(settings, 50, rollout=rollout, step=1)
    shop = host.place("green", "erring")
    assert (shop.release, shop.state, shop.healthy) == ("erring", "running", True)
    load = Load(url=shop.url, rate=100, seconds=600, think_seconds=0.05, seed=7)
    with coming(load) as counts:
        eventually(lambda: counts.report().users >= 150 and counts.failed_users("on"))
        with connect(settings) as connection:
            kill_flag(connection, FLAG, who="ada", why="a test")
        # Whoever asks once everybody was told gets the old search, those whom the new one pleased included.
        eventually(lambda: counts.answers_since("on", time.time() - 0.5) == 0)
        killed_at = time.time()
        eventually(lambda: counts.answers_since("off", killed_at) > 50)
        assert counts.answers_since("on", killed_at) == 0
    report = counts.report()
    assert set(report.failures) == {"500"}, "but for what the release has in store no request fails"
    for variant in ("on", "off"):
        fated = {user for user in counts.exposed(variant) if errs(release.dials(variant), user, release.seed)}
        assert counts.failed_users(variant) == fated
    # Counted in step 1 with the variant that each was given first; whom the kill turned back stays where he was.
    expected = {"exposed": len(counts.exposed("on")), "error": len(counts.failed_users("on"))}
    eventually(lambda: all(totals(settings, rollout).get((1, "on", kind)) == users for kind, users in expected.items()))
    exposed = counts.exposed("on") | counts.exposed("off")
    eventually(lambda: sum(totals(settings, rollout)[1, each, "exposed"] for each in ("on", "off")) == len(exposed))
    shown = httpx.get(f"{shop.url}/metrics", trust_env=False).text
    told = f'flag="{FLAG}",kind="exposed",rollout="{rollout}",step="1",variant="on"'
    assert f"steward_flag_users{{{told}}} {expected['exposed']}.0" in shown
    assert 'http_requests_total{colour="green",path="/search",release="erring",status="2xx"}' in shown


def test_both_searches_find_what_has_the_word_each_in_its_own_way(host, settings):
    shop, found = host.place("green", "good"), {}
    with httpx.Client(base_url=shop.url, headers={"x-user-id": "ada"}, trust_env=False) as client:
        for percent, variant in ((0, "off"), (100, "on")):
            expose(settings, percent, rollout=secrets.token_hex(4), step=1)
            eventually(lambda: client.get("/search", params={"q": "oak lamp"}).headers["x-variant"] == variant)  # noqa: B023
            found[variant] = client.get("/search", params={"q": "oak lamp"}).json()
        assert client.put("/basket/7").status_code == 200
        assert [each["id"] for each in client.get("/basket").json()] == [7]
        assert client.get("/products/99999").status_code == 404
        assert client.get("/products/7", headers={"x-user-id": ""}).json()["id"] == 7
        assert client.get("/basket", headers={"x-user-id": ""}).status_code == 401
    assert len(found["off"]) == len(found["on"]) == 20
    assert found["off"] == sorted(found["off"], key=lambda each: each["name"])
    assert found["on"] == sorted(found["on"], key=lambda each: each["id"])


def test_what_ran_is_taken_over_by_the_next_host_and_its_users_notice_nothing(host, place):
    shop = host.place("blue", "good")
    keeper = Keeper(place.state)
    before = keeper.process("shop").pid
    with coming(Load(url=shop.url, rate=20, seconds=600, think_seconds=0.05)) as counts:
        eventually(lambda: counts.report().requests > 20)
        os.kill(before, signal.SIGKILL)
        eventually(lambda: keeper.process("shop").pid not in {0, before})
        found = eventually(lambda: standing(host, "blue"))
        so_far = counts.report().requests
        eventually(lambda: counts.report().requests > so_far + 20)
    assert (found.pid, found.adopted, found.release) == (shop.pid, True, "good")
    assert set(counts.report().failures) <= {"500"}
    # What hangs is not taken over: it ends, and another takes its place.
    before = keeper.process("shop").pid
    os.kill(shop.pid, signal.SIGSTOP)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: keeper.process("shop").pid not in {0, before})
    found = eventually(lambda: standing(host, "blue"))
    assert (found.state, found.release, found.healthy) == ("running", "good", True)
    assert list(hosted(place, "blue")) == [found.pid]
    assert found.pid != shop.pid


def test_a_process_that_ends_by_itself_is_started_again_and_one_is_enough(host, place):
    shop = host.place("blue", "good")
    assert host.place("blue", "good").pid == shop.pid
    os.kill(shop.pid, signal.SIGKILL)
    found = eventually(lambda: (now := host.colour("blue")).healthy and now.pid != shop.pid and now)
    assert (found.state, found.release) == ("running", "good")
    assert host.restart("blue").pid not in {shop.pid, found.pid}
    assert len(list(hosted(place, "blue"))) == 1
    assert host.empty("blue").state == "empty"
    assert list(hosted(place, "blue")) == []
    with pytest.raises(NothingPlaced):
        host.restart("blue")


def test_a_release_that_does_not_start_leaves_its_last_words_and_an_empty_colour(host, place):
    with pytest.raises(ReleaseDidNotStart, match="stillborn did not start on green") as refused:
        host.place("green", "stillborn")
    assert refused.value.words == ("ModuleNotFoundError: No module named 'shop_ranking'",)
    assert not is_transient(refused.value)
    now = host.colour("green")
    assert (now.state, now.release, now.words) == ("failed", "stillborn", refused.value.words)
    assert list(hosted(place, "green")) == []
    sick = host.place("green", "sickly")
    assert (sick.state, sick.healthy, sick.health) == ("running", False, "the release fails its health check")


def test_what_cannot_be_done_is_refused_and_nothing_is_touched(host):
    shop = host.place("green", "good")
    with pytest.raises(UnknownRelease, match=r"unknown release 'nope'.*\nHINT: known: .*erring.*, good"):
        host.place("green", "nope")
    for colour in ("red", "../colours/green", "green/restart"):
        with pytest.raises((UnknownColour, HostRefused)):
            host.place(colour, "good")
    with ApplicationHost(host.url, "no token") as stranger, pytest.raises(HostRefused, match="refuses the token"):
        stranger.empty("green")
    with ApplicationHost("http://127.0.0.1:9", "no token") as nobody, pytest.raises(HostAway) as away:
        nobody.colours()
    assert is_transient(away.value)
    assert host.colours()["green"].pid == shop.pid
    assert set(releases.names()) <= set(host.releases())


def test_a_release_that_the_host_was_given_runs_as_it_was_built(host, place):
    release, kept = f"given-{secrets.token_hex(4)}", place.folder("shop") / "colours" / "releases"
    fruitless = (releases.FOLDER / "fruitless.toml").read_bytes().replace(b"[off]", b"[off]\nfruitless_percent = 100.0")
    host.take(release, fruitless)
    try:
        shop = host.place("green", release)
        assert (shop.state, shop.release) == ("running", release)
        answer = httpx.get(f"{shop.url}/search?q=lamp", headers={"x-user-id": "somebody"})
        assert (answer.status_code, answer.headers["x-found"]) == (200, "0")
    finally:
        host.empty("green")
        (kept / f"{release}.toml").unlink()
