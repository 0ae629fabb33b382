"""How a body is read: no more of it than may be, and no longer than a sender may take."""

from __future__ import annotations

import asyncio

import pytest
from starlette.requests import Request

from services.problems import Refused
from services.webhooks import requests
from services.webhooks.requests import read_body
from steward.webhooks.errors import TooLarge


def read(*pieces, length=None, most=10):
    """What is read of a body that comes in *pieces*; None: nothing comes any more."""
    left = list(pieces)

    async def receive():
        piece = left.pop(0)
        if piece is None:
            await asyncio.Event().wait()
        if piece == "gone":
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(left)}

    headers = [(b"content-length", str(length).encode())] if length is not None else []
    return asyncio.run(read_body(Request({"type": "http", "headers": headers}, receive), most)), left


def test_a_body_is_read_whole_up_to_its_limit():
    assert read(b"12345", b"", b"67890") == (b"1234567890", [])


def test_of_one_that_is_too_large_no_more_is_read_than_tells_it():
    with pytest.raises(TooLarge, match="more than 10 bytes"):
        read(b"12345", b"678901", AssertionError)
    with pytest.raises(TooLarge):
        read(AssertionError, length=11)


@pytest.mark.parametrize("end", [None, "gone"])
def test_one_that_does_not_come_is_not_waited_for(monkeypatch, end):
    monkeypatch.setattr(requests, "_READING_SECONDS", 0.01)
    with pytest.raises(Refused, match=r"was not here within 0\.01 s") as caught:
        read(b"1", end)
    assert (caught.value.status, caught.value.headers) == (408, {"Connection": "close"})
