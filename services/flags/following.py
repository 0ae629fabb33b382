"""From the store to the board: at each notification, and once a second in case that one was lost."""

from __future__ import annotations

import asyncio

from services.flags.board import Board
from steward.clients.flag_listening import AWAY, FlagListener
from steward.errors import StewardError
from steward.settings import Settings

#: A connection over which nothing comes any more is noticed by this question.
_ASK_SECONDS = 1.0
#: A database that was restarted is back within moments; one that is away is asked this often.
_RETRY_SECONDS = 0.25


async def follow(settings: Settings, board: Board) -> None:
    """For ever. Never raises for what the database does."""
    while True:
        try:
            async with FlagListener(settings) as listener:
                while True:
                    if board.is_at(await listener.revision()):
                        board.answered()
                    else:
                        board.take(await listener.read())
                    await listener.wait(_ASK_SECONDS)
        except StewardError as error:
            board.lost(error.message)
        except AWAY as error:
            board.lost(f"{type(error).__name__}: {error}".strip(": "))
        await asyncio.sleep(_RETRY_SECONDS)
