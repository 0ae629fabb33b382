"""The repository's webhook: each event is signed, sent once by a thread of its own, and what came of it is remembered.

GitHub does not try again by itself: https://docs.github.com/en/webhooks/using-webhooks/handling-failed-webhook-deliveries.
"""

from __future__ import annotations

import hashlib
import hmac
import http
import json
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from replica.github.configuration import Configuration, secret
from replica.github.dials import Dials
from replica.github.payloads import Payload, now
from replica.github.store import Document, Store

# What GitHub waits for an answer.
_ANSWER_SECONDS = 10.0
_AT_ONCE = 8
_ANSWER_BYTES = 10_000
#: Left out where deliveries are listed.
WHOLE = ("url", "request", "response")


class Hook:
    """One webhook, of all events."""

    def __init__(self, configuration: Configuration, store: Store, dials: Dials) -> None:
        self._configuration, self._store, self._dials = configuration, store, dials
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="hook")
        self._held: list[Callable[[], object]] = []
        self._lock = threading.Lock()
        if store.get("hook", configuration.hook) is None:
            store.put("hook", {"id": configuration.hook, "url": configuration.hook_url, "created_at": now()})

    @property
    def url(self) -> str:
        """Where deliveries are sent."""
        return str(self._document()["url"])

    def direct(self, url: str) -> None:
        """Send them to *url* from now on."""
        self._store.put("hook", self._document() | {"url": url})

    def described(self) -> Document:
        """As GitHub describes it."""
        base = f"{self._configuration.url}/repos/{self._configuration.repository}/hooks/{self._configuration.hook}"
        return {
            "type": "Repository",
            "id": self._configuration.hook,
            "name": "web",
            "active": True,
            "events": ["*"],
            "config": {"url": self.url, "content_type": "json", "insecure_ssl": "0", "secret": "********"},
            "updated_at": self._document()["created_at"],
            "created_at": self._document()["created_at"],
            "url": base,
            "test_url": f"{base}/test",
            "ping_url": f"{base}/pings",
            "deliveries_url": f"{base}/deliveries",
            "last_response": {"code": None, "status": "unused", "message": None},
        }

    def tell(self, event: str, payload: Payload) -> str:
        """Send *payload*, when its turn comes. The delivery's guid."""
        guid = str(uuid.uuid4())
        body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
        for _ in range(2 if self._dials.twice else 1):
            self._soon(lambda: self._deliver(guid, event, body, redelivery=False))
        return guid

    def again(self, delivery: Document) -> None:
        """The same, with the same guid, noted as another delivery."""
        body = str(delivery["request"]["raw"]).encode()
        self._soon(lambda: self._deliver(delivery["guid"], delivery["event"], body, redelivery=True))

    def let_go(self) -> None:
        """Send what was held."""
        with self._lock:
            held, self._held = self._held, []
        for each in held:
            self._threads.submit(each)

    def close(self) -> None:
        """Wait for nobody."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _soon(self, send: Callable[[], object]) -> None:
        with self._lock:
            if self._dials.hold:
                self._held.append(send)
                return
        self._threads.submit(send)

    def _deliver(self, guid: str, event: str, body: bytes, *, redelivery: bool) -> None:
        time.sleep(self._dials.delay_seconds)
        headers = self._headers(guid, event, body)
        begun, delivered_at = time.monotonic(), now(seconds_ago=self._dials.age_seconds)
        status, words, answer = self._sent(headers, body)
        payload = json.loads(body)
        self._store.put(
            "delivery",
            {
                "id": self._store.number(),
                "guid": guid,
                "delivered_at": delivered_at,
                "redelivery": redelivery,
                "duration": round(time.monotonic() - begun, 2),
                "status": words,
                "status_code": status,
                "event": event,
                "action": payload.get("action"),
                "installation_id": None,
                "repository_id": payload.get("repository", {}).get("id"),
                "throttled_at": None,
                "url": self.url,
                # `raw` stays here: GitHub's API tells the payload as JSON, and not the bytes that were signed.
                "request": {"headers": headers, "payload": payload, "raw": body.decode()},
                "response": answer,
            },
        )

    def _headers(self, guid: str, event: str, body: bytes) -> dict[str, str]:
        key = secret(self._configuration.hook_secret_file).encode()
        return {
            "Accept": "*/*",
            "content-type": "application/json",
            "User-Agent": "GitHub-Hookshot/0000000",
            "X-GitHub-Delivery": guid,
            "X-GitHub-Event": event,
            "X-GitHub-Hook-ID": str(self._configuration.hook),
            "X-GitHub-Hook-Installation-Target-Type": "repository",
            "X-Hub-Signature-256": f"sha256={hmac.new(key, body, hashlib.sha256).hexdigest()}",
        }

    def _sent(self, headers: dict[str, str], body: bytes) -> tuple[int, str, dict[str, Any]]:
        """(status, words, response)."""
        nothing: dict[str, Any] = {"headers": {}, "payload": None}
        if self._dials.lose or not self.url:
            return 502, "failed to connect to host", nothing
        try:
            answer = httpx.post(self.url, content=body, headers=headers, timeout=_ANSWER_SECONDS, trust_env=False)
        except httpx.TimeoutException:
            return 504, "timed out", nothing
        except httpx.HTTPError:
            return 502, "failed to connect to host", nothing
        told = {"headers": dict(answer.headers), "payload": answer.text[:_ANSWER_BYTES]}
        return answer.status_code, _words(answer.status_code), told

    def _document(self) -> Document:
        return self._store.get("hook", self._configuration.hook) or {}


def shown(delivery: Document, *, whole: bool) -> Document:
    """As the API tells it, one by one or in a list."""
    if not whole:
        return {name: each for name, each in delivery.items() if name not in WHOLE}
    request = {name: each for name, each in delivery["request"].items() if name != "raw"}
    return delivery | {"request": request}


def _words(status: int) -> str:
    try:
        return http.HTTPStatus(status).phrase
    except ValueError:
        return "Invalid HTTP Response"
