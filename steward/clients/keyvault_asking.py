"""One question to the vault, asked until it is answered or the time for it is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
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


class Asking:
    """How one Azure client is asked, from several threads."""

    def __init__(self) -> None:
        self._first = threading.Lock()
        self._answered = False

    def ask(self, asked: Asked, call: Call[T_co]) -> T_co:
        """What *call* returns. Waits for a vault that is away or throttles, as long as it asks for but never too long.

        Raises VaultUnavailable, VaultThrottled with the pause that was asked for, or at once what refuses.
        """
        give_up, pause = time.monotonic() + TOTAL_SECONDS, _FIRST_PAUSE_SECONDS
        while True:
            try:
                with self._alone_at_first(asked, give_up):
                    return _once(asked, call, give_up - time.monotonic())
            except VaultUnavailable as error:
                wait = error.retry_after_seconds if isinstance(error, VaultThrottled) else pause
                if time.monotonic() + wait >= give_up:
                    raise
            time.sleep(wait)
            pause *= 2

    @contextmanager
    def _alone_at_first(self, asked: Asked, give_up: float) -> Generator[None]:
        """Until there was one answer, one question at a time: threads that meet the SDK's first challenge together take
        each other's token away, and one of them fails for want of it.
        """
        if self._answered:
            yield
            return
        if not self._first.acquire(timeout=max(0.0, give_up - time.monotonic())):
            raise VaultUnavailable(
                f"vault {asked.vault} has not answered another question yet, so it was not asked to {asked.action}",
                hint="see whether it runs and can be reached from here: names, routes, firewall",
            )
        try:
            yield
            self._answered = True
        finally:
            self._first.release()


def _once(asked: Asked, call: Call[T_co], left_seconds: float) -> T_co:
    left = max(left_seconds, 0.01)
    try:
        return call(connection_timeout=min(CONNECT_SECONDS, left), read_timeout=min(READ_SECONDS, left))
    except (AzureError, ValueError) as error:
        refusal: StewardError = in_words(error, asked)
    # Outside, so that the SDK's error, which holds request and answer, is not even the context of ours.
    raise refusal
