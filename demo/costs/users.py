"""Users of several tenants at the gateway, by the providers' own clients: chats and embeddings, whole, streamed, given up."""

from __future__ import annotations

import time
import tomllib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import anthropic
import httpx
import openai
import tomli_w

from services.gateway.callers import TENANT_HEADER, digest, new_key
from steward.errors import Unavailable

CALLER = "demo"
BROKEN_OFF = "broken off"
_ADMITTED_SECONDS = 30
_ANSWERED_SECONDS = 120
#: Two of each kind, for an alias has two routes.
_KNOCKS = 16
_AT_ONCE = 24
_TOKENS = 120
#: Pieces of a stream after which its reader leaves.
_PIECES = 3
_CHAT, _EMBEDDINGS = "chat", "embeddings"


def admit(callers: Path, key_file: Path) -> str:
    """The key of a caller that may ask for every tenant, entered among *callers* the first time; it lies in *key_file*."""
    if not key_file.exists():
        key_file.touch(mode=0o600)
        key_file.write_text(new_key())
    key = key_file.read_text()
    entries = tomllib.loads(callers.read_text()).get("caller", [])
    if all(each["id"] != CALLER for each in entries):
        beside = callers.with_suffix(".new")
        beside.write_text(tomli_w.dumps({"caller": [*entries, {"id": CALLER, "sha256": digest(key)}]}))
        beside.replace(callers)
    return key


def knock(url: str, key: str) -> None:
    """Ask for something of each kind, answered or not: a limiter that knows nothing of a provider lets nobody pass for a minute,
    which begins now. Unavailable where the gateway does not take the key.
    """
    headers = {"authorization": f"Bearer {key}", TENANT_HEADER: CALLER}
    deadline = time.monotonic() + _ADMITTED_SECONDS
    # A worker reads its callers every two seconds.
    while httpx.get(f"{url}/v1/models", headers=headers, timeout=_ADMITTED_SECONDS).is_error:
        if time.monotonic() > deadline:
            raise Unavailable("the gateway does not take the demo's key", hint="see python -m replica logs gateway")
        time.sleep(0.2)
    ask(url, key, [CALLER], _KNOCKS)


def await_answers(url: str, key: str) -> None:
    """Until something of each kind is answered. Unavailable where it is not."""
    deadline = time.monotonic() + _ANSWERED_SECONDS
    while ask(url, key, [CALLER], _KNOCKS)[BROKEN_OFF]:
        if time.monotonic() > deadline:
            raise Unavailable("the gateway does not answer", hint="see python -m replica logs gateway")
        time.sleep(1)


def ask(url: str, key: str, tenants: Sequence[str], requests: int) -> Counter[str]:
    """*requests* of all tenants in turn, some at once: how many of each kind were answered, and how many broke off."""
    headers = {name: {TENANT_HEADER: name} for name in tenants}
    with (
        openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0) as of_openai,
        anthropic.Anthropic(base_url=url, api_key=key, max_retries=0) as of_anthropic,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):

        def one(number: int) -> str:
            kind, call = _KINDS[number % len(_KINDS)]
            client = of_anthropic if call in {_message, _streamed_message} else of_openai
            try:
                call(client, headers[tenants[number % len(tenants)]], f"Question {number}: which way is the sea?")
            except (openai.APIError, anthropic.APIError):
                return BROKEN_OFF
            return kind

        return Counter(pool.map(one, range(requests)))


def _chat(client: openai.OpenAI, headers: dict[str, str], text: str) -> None:
    client.chat.completions.create(model=_CHAT, messages=_asked(text), max_tokens=_TOKENS, extra_headers=headers)


def _stream(client: openai.OpenAI, headers: dict[str, str], text: str) -> None:
    for _ in _opened(client, headers, text):
        pass


def _given_up(client: openai.OpenAI, headers: dict[str, str], text: str) -> None:
    with _opened(client, headers, text) as pieces:
        for number, _ in enumerate(pieces):
            if number == _PIECES:
                return


def _embeddings(client: openai.OpenAI, headers: dict[str, str], text: str) -> None:
    client.embeddings.create(model=_EMBEDDINGS, input=text, extra_headers=headers)


def _message(client: anthropic.Anthropic, headers: dict[str, str], text: str) -> None:
    client.messages.create(model=_CHAT, messages=_asked(text), max_tokens=_TOKENS, extra_headers=headers)


def _streamed_message(client: anthropic.Anthropic, headers: dict[str, str], text: str) -> None:
    with client.messages.stream(
        model=_CHAT, messages=_asked(text), max_tokens=_TOKENS, extra_headers=headers
    ) as stream:
        stream.get_final_message()


def _opened(client: openai.OpenAI, headers: dict[str, str], text: str) -> openai.Stream[Any]:
    return client.chat.completions.create(
        model=_CHAT, messages=_asked(text), max_tokens=_TOKENS, stream=True, extra_headers=headers
    )


def _asked(text: str) -> Any:
    return [{"role": "user", "content": text}]


#: By turns.
_KINDS: Sequence[tuple[str, Any]] = (
    ("chats", _chat),
    ("streams", _stream),
    ("embeddings", _embeddings),
    ("messages", _message),
    ("streams given up", _given_up),
    ("streams", _stream),
    ("embeddings", _embeddings),
    ("streamed messages", _streamed_message),
)
