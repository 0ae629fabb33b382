"""One question to the vault, asked until it is answered or the time for it is over."""

from __future__ import annotations

import time
from typing import Protocol, TypeVar

from azure.core.exceptions import AzureError

from steward.clients.keyvault_errors import Asked, VaultThrottled, VaultUnavailable, in_words
from steward.errors import StewardError

#: A vault answers within tens of milliseconds; what takes longer than this to connect is away.
CONNECT_SECONDS = 2.0
READ_SECONDS = 4.0
#: After this no further try begins, and none is given more time than is left of it. A silent vault so fails in 10 s. The
#: first question of all is up to five requests one after the other (challenge, the issuer's metadata, token, answer):
#: were each of them slow and none silent, it would end within 30 s.
TOTAL_SECONDS = 10.0
_FIRST_PAUSE_SECONDS = 0.2

T_co = TypeVar("T_co", covariant=True)


class Call(Protocol[T_co]):
    """A method of an Azure client with everything but its time limits."""

    def __call__(self, *, connection_timeout: float, read_timeout: float) -> T_co:
        """Ask once."""
        ...


def ask(asked: Asked, call: Call[T_co]) -> T_co:
    """What *call* returns. Waits for a vault that is away or throttles, as long as it asks for but never too long.

    Only for what may be done twice. Raises VaultUnavailable, VaultThrottled with the pause that was asked for, or at once
    what refuses.
    """
    give_up, pause = time.monotonic() + TOTAL_SECONDS, _FIRST_PAUSE_SECONDS
    while True:
        try:
            return _once(asked, call, give_up - time.monotonic())
        except VaultUnavailable as error:
            wait = error.retry_after_seconds if isinstance(error, VaultThrottled) else pause
            if time.monotonic() + wait >= give_up:
                raise
        time.sleep(wait)
        pause *= 2


def ask_once(asked: Asked, call: Call[T_co], read_seconds: float) -> T_co:
    """The same in one try: for what is done anew by each. VaultUnavailable leaves open whether it was done."""
    return _once(asked, call, TOTAL_SECONDS, read_seconds)


def _once(asked: Asked, call: Call[T_co], left_seconds: float, read_seconds: float | None = None) -> T_co:
    left = max(left_seconds, 0.01)
    try:
        return call(connection_timeout=min(CONNECT_SECONDS, left), read_timeout=min(read_seconds or READ_SECONDS, left))
    except (AzureError, ValueError) as error:
        refusal: StewardError = in_words(error, asked)
    except AttributeError as error:
        # Threads that are challenged at the same moment take the SDK's token away from one another: seen once in 320
        # first questions, 16 at a time. The next try finds one.
        if error.name != "token":
            raise
        refusal = VaultUnavailable(
            f"vault {asked.vault} was not asked to {asked.action}: another thread took the token"
        )
    # Outside, so that the SDK's error, which holds request and answer, is not even the context of ours.
    raise refusal
