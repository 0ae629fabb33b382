import json
import math
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steward.clients.prometheus import open_prometheus
from steward.clients.prometheus_answers import Answer, Standing, points, value
from steward.clients.prometheus_errors import PrometheusAway, PrometheusBadAnswer, PrometheusRefused, PrometheusSlow
from steward.errors import BadInput
from steward.settings import Settings

NOW = 1764185000.0


@given(
    st.floats(),
    st.floats(min_value=0, max_value=1e6),
    st.floats(min_value=0.1, max_value=100),
)
def test_only_a_finite_number_that_is_young_enough_is_fresh(number, age, fresh_seconds):
    seen = value(number, NOW - age, NOW, fresh_seconds, {})
    if seen.fresh is not None:
        assert math.isfinite(seen.fresh)
        assert seen.age_seconds <= fresh_seconds
    assert (seen.fresh is None) == (seen.standing is not Standing.FRESH)
    assert str(seen)


def test_what_stands_for_a_figure_says_so_in_words():
    assert str(value(3, NOW - 0.5, NOW, 5, {})) == "3, 0.5 s old"
    assert str(value(3, NOW - 31, NOW, 5, {})) == "stale (3, 31.0 s old)"
    assert str(value(math.nan, NOW, NOW, 5, {})) == "not a number (nan, 0.0 s old)"
    assert str(Answer("x", NOW, ()).of()) == "missing"


def test_every_shape_of_an_answer_gives_each_series_last_number_and_time():
    assert [(each.number, each.at) for each in points(answer("scalar", [NOW, "1.5"]))] == [(1.5, NOW)]
    vector = answer("vector", [{"metric": {"a": "b"}, "value": [NOW, "NaN"]}])
    assert [math.isnan(each.number) for each in points(vector)] == [True]
    matrix = answer("matrix", [{"metric": {}, "values": [[NOW - 1, "1"], [NOW, "+Inf"]]}])
    assert [(each.number, each.at) for each in points(matrix)] == [(math.inf, NOW)]


def answer(kind, result):
    return {"status": "success", "data": {"resultType": kind, "result": result}}


@contextmanager
def serving(answers, tmp_path):
    """A server that gives *answers* by query, each (status, content, or parts of it and how long to wait before each)."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            asked.append((form, self.headers["Authorization"]))
            status, content = answers(form["query"][0])
            self.send_response(status)
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            try:
                self.pour(body)
            except OSError:
                self.close_connection = True

        def pour(self, body):
            if not body.startswith(b"drop"):
                self.wfile.write(body)
                return
            for number in range(len(body)):
                over.wait(0.15)
                self.wfile.write(body[number : number + 1])

        def log_message(self, *_):
            pass

    over = threading.Event()
    token = tmp_path / "token"
    token.write_text("a-bearer\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        described = {"url": f"http://127.0.0.1:{server.server_address[1]}/prefix/", "token": f"file:{token}"}
        try:
            with open_prometheus(settings(prometheus=described), timeout_seconds=0.3) as client:
                yield client, asked
        finally:
            over.set()
            server.shutdown()


def settings(**sections):
    key = {"access_key": "file:/k", "secret_key": "file:/k", "evidence_bucket": "e"}
    return Settings.model_validate(
        {
            "search": {},
            "postgres": {"url": "postgresql://s@h/d", "password": "file:/p"},
            "objects": key,
            "evidence": {"signing_key": "file:/k", "public_key": "/p"},
            **sections,
        }
    )


def test_it_asks_by_its_own_clock_for_samples_and_for_the_oldest_of_them(tmp_path):
    def told(query):
        if query == "time()":
            return 200, answer("scalar", [NOW, str(NOW)])
        if query.startswith("min(timestamp"):
            return 200, answer("vector", [{"metric": {}, "value": [NOW, str(NOW - 3)]}])
        return 200, answer("vector", [{"metric": {}, "value": [NOW, "2"]}])

    with serving(told, tmp_path) as (client, asked):
        found = client.evaluate("sum(x)", of="x", fresh_seconds=2).of()
    assert (found.standing, found.number, found.at) == (Standing.STALE, 2.0, NOW - 3)
    assert [form["query"] for form, _ in asked] == [["time()"], ["sum(x)"], ["min(timestamp(x))"]]
    assert [form.get("time") for form, _ in asked] == [None, [repr(NOW)], [repr(NOW)]]
    assert {token for _, token in asked} == {"Bearer a-bearer"}


@pytest.mark.parametrize(
    ("status", "content", "error"),
    [
        (200, b"<html>it works", PrometheusBadAnswer),
        (200, b"", PrometheusBadAnswer),
        (200, b"null", PrometheusBadAnswer),
        (200, b'"success"', PrometheusBadAnswer),
        (200, {"status": "success"}, PrometheusBadAnswer),
        (200, {"status": "error", "error": "x", "errorType": "x"}, PrometheusBadAnswer),
        (200, answer("streams", []), PrometheusBadAnswer),
        (200, answer("string", [NOW, "x"]), PrometheusBadAnswer),
        (200, answer("scalar", [NOW, 5]), PrometheusBadAnswer),
        (200, answer("scalar", [NOW, "five"]), PrometheusBadAnswer),
        (200, answer("scalar", [NOW]), PrometheusBadAnswer),
        (200, answer("vector", []), PrometheusBadAnswer),
        (200, answer("vector", [{"metric": None, "value": [NOW, "1"]}]), PrometheusBadAnswer),
        (200, answer("scalar", [NOW, "1"]) | {"warnings": ["one store is away"]}, PrometheusBadAnswer),
        (301, b"elsewhere", PrometheusBadAnswer),
        (404, b"not here", PrometheusBadAnswer),
        (400, {"status": "error", "errorType": "bad_data", "error": "parse error"}, PrometheusRefused),
        (401, b"who are you", PrometheusBadAnswer),
        (403, {"status": "error", "error": "not yours"}, PrometheusRefused),
        (422, {"status": "error", "errorType": "execution", "error": "too many samples"}, PrometheusRefused),
        (503, b"Service Unavailable", PrometheusAway),
        (502, b"", PrometheusAway),
        (200, b"drop by drop", PrometheusSlow),
    ],
)
def test_whoever_answers_badly_is_an_error_of_its_own_and_gives_no_figure(
    tmp_path, monkeypatch, status, content, error
):
    with serving(lambda _: (status, content), tmp_path) as (client, _), pytest.raises(error) as caught:
        client.latest("up")
    assert type(caught.value) is error
    assert "HINT: " in str(caught.value)
    assert "a-bearer" not in str(caught.value)


def test_settings_without_prometheus_say_what_to_add():
    with pytest.raises(BadInput, match="tell of no Prometheus") as caught, open_prometheus(settings()):
        pass
    assert "[prometheus]" in caught.value.hint


def test_an_unknown_environment_has_no_balancer_and_the_known_are_named():
    known = settings(balancers={"production": {"url": "http://h:1", "runtime": "unix:/run/haproxy.sock"}})
    assert known.balancer("production").backend == "app"
    with pytest.raises(BadInput, match="'staging'; known: production"):
        known.balancer("staging")


@pytest.mark.parametrize(
    "wrong",
    [
        {"runtime": "/run/haproxy.sock"},
        {"runtime": "tcp:host"},
        {"runtime": "tcp:a b:1"},
        {"backend": "app;quit"},
        {"url": "http://user@h"},
        {"url": "http://h/path"},
    ],
)
def test_a_balancers_address_that_cannot_be_one_is_refused_when_settings_are_read(wrong):
    described = {"url": "http://h:1", "runtime": "unix:/run/haproxy.sock"} | wrong
    with pytest.raises(ValueError, match=r"balancers\.production"):
        settings(balancers={"production": described})
