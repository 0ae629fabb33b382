"""Bad input is refused with its reason, in one line of the log that holds no secret, and leaves nothing behind."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.webhook_receiver.ground import MARK, at, marked
from tests.integration.webhooks_ground import CI, GITHUB, SECRETS, count, deployment, event, from_ci, from_github, raw

pytestmark = pytest.mark.without_search


def _sent(body, headers, path=GITHUB):
    return path, body, headers


def _signed(payload, **options):
    body = raw(payload)
    return _sent(body, from_ci(body, **options), CI)


def _github(body, name="deployment", **headers):
    made = from_github(body, name, **headers)
    return _sent(body, {name: value for name, value in made.items() if value})


NOW = datetime.now(UTC)
# By a day: the tests of a whole run come a quarter of an hour after they were collected.
LONG_AGO, SOON = NOW - timedelta(hours=73), NOW + timedelta(days=1)

BAD = {
    "forged": (lambda: _sent(marked(), from_github(marked())), 401, "not of this body", "compare the webhook's secret"),
    "signed with another secret": (
        lambda: _github(marked(), secret="another secret than ours"),
        401,
        "not of this body",
        "compare the webhook's secret",
    ),
    "signature missing": (
        lambda: _github(marked(), X_Hub_Signature_256=""),
        401,
        "X-Hub-Signature-256 is missing",
        "give the webhook a secret",
    ),
    "signed form forged": (
        lambda: _sent(raw({**event(), "mark": MARK}), from_ci(raw(event())), CI),
        401,
        "webhook-signature is not of this id",
        "sign `ID.TIMESTAMP.BODY`",
    ),
    "signed form overheard": (
        lambda: _signed({**event(), "mark": MARK}, at=time.time() - 400),
        422,
        "s ago; expected at most 300",
        "sign each try anew",
    ),
    "of GitHub's, for another source": (
        lambda: _sent(body := marked(), from_github(body), CI),
        401,
        "webhook-id, webhook-timestamp, webhook-signature is missing",
        "Standard Webhooks",
    ),
    "happened long ago": (
        lambda: _github(marked(created_at=at(LONG_AGO))),
        422,
        "happened 73.",
        "let it happen anew; window_hours of [webhooks.sources.github]",
    ),
    "happens in the future": (
        lambda: _github(marked(created_at=at(SOON))),
        422,
        "s from now",
        "compare the sender's clock",
    ),
    "signed form of long ago": (lambda: _signed(event(at=LONG_AGO)), 422, "happened 73.", "let it happen anew"),
    "too large by its length": (
        lambda: _github(raw({**deployment(), "mark": MARK * 10_000})),
        413,
        "more than 65,536 bytes",
        "most_bytes",
    ),
    "too large without a length": (
        lambda: _sent(iter([MARK.encode() * 1000] * 5), from_github(b"")),
        413,
        "more than 65,536 bytes",
        "most_bytes",
    ),
    "unknown event": (
        lambda: _github(marked(), "push"),
        422,
        "nothing is made for the event push; known: deployment, ",
        "choose these events alone",
    ),
    "no event": (lambda: _github(marked(), ""), 400, "X-GitHub-Event is missing", "letters, digits"),
    "no id": (lambda: _github(marked(), X_GitHub_Delivery=""), 400, "X-GitHub-Delivery is missing", "letters, digits"),
    "unknown source": (
        lambda: _sent(body := marked(), from_github(body), "/webhooks/nobody"),
        404,
        "there is no such source",
        "see the address",
    ),
    "malformed JSON": (lambda: _github(f'{{"{MARK}": '.encode()), 400, "the body is no JSON", "send one JSON object"),
    "JSON that is no object": (lambda: _github(raw([MARK])), 400, "a JSON array; expected an object", "send {"),
    "empty": (lambda: _github(b""), 400, "the body is no JSON", "send one JSON object"),
    "another content type": (
        lambda: _github(marked(), Content_Type="text/plain"),
        415,
        "the content type is text/plain; expected application/json",
        "say so in Content-Type",
    ),
    "no content type": (lambda: _github(marked(), Content_Type=""), 415, "none that can be shown", "say so in"),
    "a form": (
        lambda: _github(b"payload=" + MARK.encode(), Content_Type="application/x-www-form-urlencoded"),
        415,
        "application/x-www-form-urlencoded; expected application/json",
        "choose the content type application/json in the webhook's settings at GitHub",
    ),
    "compressed": (lambda: _github(marked(), Content_Encoding="gzip"), 415, "encoded as gzip", "do not compress"),
    "fields missing": (
        lambda: _github(raw({"action": "created", "mark": MARK})),
        400,
        "the body is no deployment: deployment: Field required",
        "docs/webhooks.md",
    ),
    "a type that no rule names": (
        lambda: _signed({**event("coffee.ready"), "mark": MARK}),
        422,
        "no rule names the type coffee.ready of ci; known: ",
        "mend the type, or add a rule",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_its_reason_one_line_and_nothing_left_behind(server, settings, case):
    made, status, detail, hint = BAD[case]
    path, body, headers = made()
    before = count(settings)
    with server.logged() as lines:
        answer = server.send(path, body, headers)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (answer.body["status"], answer.body["type"]) == (status, "about:blank")
    assert detail in answer.body["detail"]
    assert hint in answer.body["hint"]
    assert count(settings) == before
    assert len(lines) == 1, lines
    assert f"status={status}" in lines[0]
    assert detail in lines[0]
    assert f"source={'-' if status == 404 else path.rpartition('/')[2]}" in lines[0]
    signatures = [value for name, value in headers.items() if "signature" in name.lower()]
    for secret in (MARK, *SECRETS.values(), *signatures):
        assert secret not in lines[0]
        assert secret not in json.dumps(answer.body)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", GITHUB, 405),
        ("PUT", GITHUB, 405),
        ("POST", "/", 404),
        ("POST", "/webhooks/", 404),
        ("POST", "/webhooks/github/more", 404),
        ("POST", "/webhooks/github%00", 404),
        ("POST", "/webhooks/%ff%fe", 404),
        ("POST", "/webhooks/..%2fgithub", 404),
        ("POST", "/webhooks/" + "x" * 5000, 404),
    ],
)
def test_another_path_or_method_is_a_problem(server, settings, method, path, status):
    body, before = marked(), count(settings)
    answer = server.send(path, body, from_github(body), method=method)
    assert (answer.status, answer.body["status"]) == (status, status)
    assert count(settings) == before
