"""A task that is to end ends, also where its first cancellation is swallowed on the way."""

from __future__ import annotations

import asyncio

import pytest

from steward.stopping import stop


def test_a_swallowed_cancellation_is_said_again():
    heard = []

    async def deaf():
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                heard.append("once")
                if len(heard) > 2:
                    raise

    async def ended():
        task = asyncio.create_task(deaf())
        await asyncio.sleep(0)
        await stop(task)
        return task.cancelled()

    assert asyncio.run(ended())
    assert len(heard) == 3


def test_what_a_task_failed_with_is_told():
    async def failing():
        raise LookupError

    async def ended():
        task = asyncio.create_task(failing())
        await asyncio.sleep(0)
        await stop(task)

    with pytest.raises(LookupError):
        asyncio.run(ended())
