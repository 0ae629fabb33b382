"""Prometheus of the replica, which asks a small application on both colours, and a process of it that a file names."""

import contextlib
import json
import time

import psutil
import pytest

from replica import faults, start, stop
from replica.ports import choose
from replica.servers import SERVERS, prometheus
from replica.servers.haproxy import COLOURS, colour_port
from replica.status import rows
from replica.supervision import Keeper
from steward.clients.prometheus import Standing, open_prometheus
from steward.clients.prometheus_errors import PrometheusAway, PrometheusRefused, PrometheusSlow
from steward.errors import BadInput, is_transient
from tests.integration.colours_ground import Caller, Colours, eventually

pytestmark = pytest.mark.without_search

SERVER = next(server for server in SERVERS if server.name == "prometheus")
USERS = "shop_users"


@pytest.fixture(scope="module")
def application(replica):
    """Both colours, and a third process that a file of targets names, before Prometheus begins."""
    ports = {colour: colour_port(replica, colour) for colour in COLOURS} | choose(["third"], {})
    application = Colours(ports)
    yield application
    application.close()


@pytest.fixture(scope="module")
def place(replica, application):
    SERVER.prepare(replica)
    named = prometheus.targets_folder(replica) / "third.json"
    named.write_text(
        json.dumps([{"targets": [f"127.0.0.1:{application.ports['third']}"], "labels": {"colour": "third"}}])
    )
    place = start.up(replica.state, SERVERS, ["prometheus"])
    yield place
    named.unlink()
    stop.down(place.state, SERVERS, ["prometheus"])


@pytest.fixture
def asked(place, settings, application):
    """A client; all processes of the application are up and scraped."""
    start.up(place.state, SERVERS, ["prometheus"])
    application.start(*application.ports)
    with open_prometheus(settings) as asked:
        eventually(lambda: up(asked) == dict.fromkeys(application.ports, 1.0), "all processes scraped")
        yield asked


def up(asked):
    return {value.labels["colour"]: value.fresh for value in asked.latest('up{job="application"}').values}


def tell(asked, application, number, name=USERS):
    """Have green say *number*, and wait until Prometheus heard it."""
    application.figures["green"] = f'{name}{{variant="on"}} {number}\n{name}{{variant="off"}} 40\n'
    return eventually(
        lambda: (
            (value := asked.latest(name).of(variant="on")).number is not None
            and (value.number == float(number) or number == "NaN")
            and value
        ),
        f"{name} {number}",
    )


def test_a_figure_has_the_time_of_its_own_scrape(asked, application):
    began = time.time()
    value = tell(asked, application, 3)
    assert (value.standing, value.fresh) == (Standing.FRESH, 3.0)
    assert began - 0.1 <= value.at <= time.time()
    assert value.labels == value.labels | {"job": "application", "colour": "green", "variant": "on"}
    # Of an expression: of the oldest that it is made of, not of the time of asking.
    answer = asked.evaluate(f"sum by (variant) ({USERS})", of=USERS)
    assert {each.labels["variant"]: each.fresh for each in answer.values} == {"on": 3.0, "off": 40.0}
    assert {each.at for each in answer.values} == {asked.latest(USERS).of(variant="on").at}
    assert {each.at < answer.at for each in answer.values} == {True}


def test_a_process_is_the_colour_of_its_port_whatever_it_says_itself(asked, application):
    application.figures["green"] = 'shop_painted{colour="blue",release="r1"} 1\n'
    (value,) = eventually(lambda: asked.latest("shop_painted").values, "painted")
    assert value.labels.items() >= {"colour": "green", "release": "r1"}.items()
    assert "exported_colour" not in value.labels


@pytest.mark.parametrize(
    ("told", "standing"), [("NaN", Standing.NAN), ("+Inf", Standing.INFINITE), ("-Inf", Standing.INFINITE)]
)
def test_what_is_no_number_is_a_value_and_not_fresh(asked, application, told, standing):
    name = f"shop_{standing.name.lower()}_{len(told)}"
    value = tell(asked, application, told, name)
    assert (value.standing, value.fresh) == (standing, None)
    assert asked.evaluate(f"avg({name}{{variant='on'}})", of=name).of().standing is standing


def test_nobody_at_all_is_not_a_number_and_what_never_was_is_missing(asked, application):
    tell(asked, application, 1)
    assert (
        asked.evaluate(f"({USERS} - {USERS}) / ({USERS} - {USERS})", of=USERS).of(variant="on").standing is Standing.NAN
    )
    assert asked.latest("shop_nothing").of().standing is Standing.MISSING
    # A default is no measurement.
    assert asked.evaluate("sum(shop_nothing) or vector(0)", of="shop_nothing").of().standing is Standing.MISSING


def test_a_name_that_several_series_have_is_refused_rather_than_guessed(asked, application):
    tell(asked, application, 1)
    with pytest.raises(BadInput, match=r"2 values of 'shop_users' have the labels \{\}, expected one"):
        asked.latest(USERS).of()


def test_what_a_process_told_last_is_stale_within_seconds_of_its_end_and_keeps_its_time(asked, application):
    last = tell(asked, application, 7)
    application.stop("green")
    gone = eventually(
        lambda: (value := asked.latest(USERS, fresh_seconds=2).of(variant="on")).standing is Standing.STALE and value,
        "stale",
    )
    assert gone.number == 7
    assert last.at <= gone.at
    assert gone.age_seconds < 5
    # By then Prometheus itself has marked it: nothing is computed of it any more.
    assert asked.evaluate(f"sum({USERS})", of=USERS).of().standing is Standing.MISSING
    assert up(asked)["green"] == 0.0


def test_what_a_process_told_last_is_stale_within_seconds_of_its_hanging(asked, application):
    tell(asked, application, 9)
    application.hold()
    application.hung.add("green")
    try:
        eventually(
            lambda: (
                asked.latest(USERS, fresh_seconds=2).of(variant="on").standing is Standing.STALE
                and not asked.evaluate(f"sum({USERS})", of=USERS).values
            ),
            "stale",
        )
        assert up(asked)["green"] == 0.0
    finally:
        application.hung.clear()
        application.release()


def test_prometheus_frozen_is_waited_for_within_bounds_and_is_itself_again_when_thawed(
    asked, application, place, settings
):
    tell(asked, application, 11)
    with (
        open_prometheus(settings, timeout_seconds=0.3) as impatient,
        faults.frozen(place.state, "prometheus"),
        pytest.raises(PrometheusSlow, match=r"no whole answer within 0\.3 s") as caught,
    ):
        impatient.latest(USERS)
    assert is_transient(caught.value)
    assert asked.latest(USERS).of(variant="on").number == 11


def test_prometheus_killed_is_away_and_knows_afterwards_how_old_its_figures_are(asked, application, place):
    last = tell(asked, application, 13)
    faults.kill(place.state, "prometheus")
    with pytest.raises(PrometheusAway, match="ConnectError") as caught:
        asked.latest(USERS)
    assert is_transient(caught.value)
    application.stop("green")
    start.up(place.state, SERVERS, ["prometheus"])
    # Nobody marked the end of its series: an expression would take it for present, but for its time.
    value = eventually(
        lambda: (value := asked.latest(USERS, fresh_seconds=1).of(variant="on")).standing is Standing.STALE and value,
        "stale",
    )
    assert (value.number, value.at >= last.at) == (13, True)
    answer = asked.evaluate(f"sum({USERS})", of=USERS, fresh_seconds=1)
    assert not [each for each in answer.values if each.fresh is not None]


@pytest.mark.parametrize("query", ["sum(", "up offset 1", "label_replace(up)"])
def test_a_query_that_is_none_is_refused_in_prometheus_own_words(asked, query):
    with pytest.raises(PrometheusRefused, match=r"refuses .*(parse error|expected)"):
        asked.evaluate(query, of="up")


def test_an_expression_where_a_selector_belongs_is_refused(asked):
    with pytest.raises(PrometheusRefused):
        asked.latest("sum(up)")


def test_nobody_ends_reloads_or_changes_it_over_http(asked, place):
    with contextlib.closing(Caller(f"http://127.0.0.1:{place.port('prometheus', 'http')}")) as caller:
        assert caller.ask("/-/quit", "POST")[0] == 403
        assert caller.ask("/-/reload", "POST")[0] == 403
        assert caller.ask("/api/v1/write", "POST")[0] == 404
        status, body = caller.ask("/api/v1/admin/tsdb/delete_series?match[]=up", "POST")
        assert (status, json.loads(body)["error"]) == (500, "admin APIs disabled")
    process = psutil.Process(Keeper(place.state).process("prometheus").pid)
    listening = {each.laddr.ip for each in process.net_connections("tcp") if each.status == psutil.CONN_LISTEN}
    assert listening == {"127.0.0.1"}


def test_status_says_how_many_targets_answer(asked, place):
    (row,) = rows(place, [SERVER])
    assert row.healthy
    assert row.health.startswith("Prometheus 2.42.0, ")
    assert row.health.endswith(" targets answer")
