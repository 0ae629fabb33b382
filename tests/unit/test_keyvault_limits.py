"""Sliding windows at Azure's published limits, and the audit log's own bounds."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from replica.keyvault.audit import AuditLog, Event
from replica.keyvault.errors import Refusal
from replica.keyvault.limits import SECRET_CREATE, SECRET_OTHER, Transaction, key_create, key_other
from replica.keyvault.throttling import Subscription


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def subscription(clock: Clock) -> Subscription:
    return Subscription(clock=clock)


def _admitted(subscription: Subscription, transaction: Transaction, most: int, vault: str = "v") -> int:
    """How many of *most* are admitted before the first refusal."""
    for number in range(most):
        try:
            subscription.admit(vault, transaction)
        except Refusal:
            return number
    return most


@pytest.mark.parametrize(
    ("transaction", "limit"),
    [
        (key_create("RSA 2048", hsm=True), 10),
        (key_create("RSA 4096", hsm=False), 20),
        (key_create("EC P-256", hsm=False), 20),
        (key_other("RSA 2048", hsm=False), 4000),
        (key_other("RSA 3072", hsm=False), 1000),
        (key_other("RSA 4096", hsm=True), 250),
        (key_other("EC P-521", hsm=True), 2000),
        (SECRET_CREATE, 300),
        (SECRET_OTHER, 4000),
    ],
)
def test_as_many_as_azure_publishes_are_served_in_ten_seconds(
    subscription: Subscription, transaction: Transaction, limit: int
):
    assert _admitted(subscription, transaction, 5000) == limit


def test_kinds_of_keys_share_a_pool_by_weight(subscription: Subscription):
    # The service's own example: 248 transactions on RSA 4096 and 16 on RSA 2048, all in an HSM.
    assert _admitted(subscription, key_other("RSA 4096", hsm=True), 248) == 248
    assert _admitted(subscription, key_other("RSA 2048", hsm=True), 100) == 16
    assert _admitted(subscription, SECRET_OTHER, 10) == 10
    assert _admitted(subscription, key_create("RSA 2048", hsm=True), 10) == 10


def test_the_window_slides_and_the_wait_it_tells_is_enough(subscription: Subscription, clock: Clock):
    create = key_create("RSA 2048", hsm=True)
    assert _admitted(subscription, create, 4) == 4
    clock.now += 6.5
    assert _admitted(subscription, create, 10) == 6
    with pytest.raises(Refusal) as refused:
        subscription.admit("v", create)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "4")
    clock.now += 4
    assert _admitted(subscription, create, 10) == 4


def test_a_refused_request_takes_nothing(subscription: Subscription, clock: Clock):
    create = key_create("RSA 2048", hsm=True)
    _admitted(subscription, create, 10)
    for _ in range(100):
        clock.now += 0.09
        assert _admitted(subscription, create, 1) == 0
    clock.now += 1
    assert _admitted(subscription, create, 11) == 10


def test_a_dear_request_waits_until_enough_has_gone_by(subscription: Subscription, clock: Clock):
    for _ in range(4):
        assert _admitted(subscription, key_other("RSA 2048", hsm=False), 1000) == 1000
        clock.now += 1
    with pytest.raises(Refusal) as refused:
        subscription.admit("v", key_other("RSA 4096", hsm=True))
    assert refused.value.headers["Retry-After"] == "6"


def test_the_subscription_serves_five_times_one_vaults_limit(subscription: Subscription):
    served = [_admitted(subscription, SECRET_CREATE, 300, vault=f"v{number}") for number in range(6)]
    assert served == [300] * 5 + [0]
    with pytest.raises(Refusal, match="SubscriptionRequestTypeLimitReached"):
        subscription.admit("v9", SECRET_CREATE)
    with pytest.raises(Refusal, match="VaultRequestTypeLimitReached"):
        subscription.admit("v1", SECRET_CREATE)


def _event(uri: str = "https://v/secrets") -> Event:
    return Event("/subscriptions/s", uri, "agent", "127.0.0.1", "c", operation="SecretGet", status=200)


def test_the_audit_log_is_bounded_and_turns_between_lines(tmp_path: Path):
    log = AuditLog(tmp_path / "audit.log", most_bytes=4000, kept=2)
    for number in range(60):
        log.write(_event(f"https://v/secrets/{number:02}"))
    log.close()
    files = sorted(tmp_path.iterdir(), reverse=True)
    assert [path.name for path in files] == ["audit.log.2", "audit.log.1", "audit.log"]
    assert all(path.stat().st_size <= 4000 and path.stat().st_mode & 0o077 == 0 for path in files)
    lines = [json.loads(line) for path in files for line in path.read_text().splitlines()]
    kept = [line["properties"]["requestUri"][-2:] for line in lines]
    assert kept == [f"{number:02}" for number in range(60 - len(kept), 60)]


def test_a_line_that_does_not_fit_on_the_disk_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    log = AuditLog(tmp_path / "audit.log")
    log.write(_event())
    before = (tmp_path / "audit.log").read_bytes()
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, line: write(file, line[:10]))
    with pytest.raises(OSError, match="audit log") as full:
        log.write(_event())
    assert full.value.errno == errno.ENOSPC
    monkeypatch.undo()
    assert (tmp_path / "audit.log").read_bytes() == before
    log.close()


def test_a_line_is_never_longer_than_it_may_be():
    event = Event("/s", "https://v/" + "u" * 9000, "a" * 9000, "127.0.0.1", "c", description="d" * 9000)
    assert len(json.dumps(event.line())) < 4500
