"""What a hostile sender sends is that sender's fault, and the receiver is there for the others."""

from __future__ import annotations

import socket

import pytest

from tests.integration.webhooks_ground import (
    CI,
    GITHUB,
    PATIENCE_SECONDS,
    count,
    event,
    from_ci,
    from_github,
    raw,
    rows,
)

pytestmark = pytest.mark.without_search

HOSTILE = [
    b'{"a":' * 10_000,
    b"[" * 60_000,
    b'{"type": "release.candidate", "timestamp": NaN, "data": {}}',
    b'{"type": "release.candidate", "timestamp": "2026-11-27T10:00:00Z", "data": {"a": "\\ud800"}}',
    b'{"type": "release.candidate\\u0000", "timestamp": "2026-11-27T10:00:00Z", "data": {}}',
    b'{"type": "release.candidate", "timestamp": "9999-12-31T23:59:59-23:59", "data": {}}',
    b'{"type": "release.candidate", "timestamp": "0001-01-01T00:00:00+23:59", "data": {}}',
    b'{"type": ["release.candidate"], "timestamp": {}, "data": 1e999}',
    b"\xff\xfe\x00\x00",
    b'{"a": ' + b"9" * 20_000 + b"}",
]


@pytest.mark.parametrize("body", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_body_that_is_genuine_is_the_sender_s_fault(server, settings, body):
    before = count(settings)
    assert server.send(CI, body, from_ci(body)).status in {400, 401, 422}
    assert server.send(GITHUB, body, from_github(body)).status == 400
    assert count(settings) == before


def test_nulls_and_doubled_keys_that_nothing_is_made_of_are_stored_as_they_came(server, settings):
    told = event()
    body = (
        raw({**told, "data": {"a": "\0"}})[:-1]
        + b', "type": "git.push", "mark": "'
        + told["data"]["nonce"].encode()
        + b'"}'
    )
    assert server.send(CI, body, from_ci(body)).status == 202
    row = rows(settings)[-1]
    assert (bytes(row["body"]), row["event"]) == (body, "git.push")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (b"X-GitHub-Delivery: a\0b\r\n", 400),
        (b"X-GitHub-Delivery: \xff\xfe\r\n", 401),
        (b"X-Hub-Signature-256: sha256=\xe9\r\n", 401),
        (b"Content-Length: -1\r\n", 400),
        (b"Content-Length: 99999999999999999999999\r\n", 400),
        (b"Content-Length: 9999999999999\r\n", 413),
        (b"X-Much: " + b"a" * 10_000_000 + b"\r\n", 431),
        (b"".join(b"X-%d: a\r\n" % number for number in range(20_000)), 431),
    ],
    ids=range(8),
)
def test_hostile_headers_are_the_sender_s_fault(server, settings, headers, status):
    before = count(settings)
    request = b"POST /webhooks/github HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nConnection: close\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(request + headers + b"\r\n")
        answered = connection.recv(12)
    assert answered == f"HTTP/1.1 {status}".encode()
    assert count(settings) == before
    assert server.send("/healthz", b"", {}, method="GET").status == 200
