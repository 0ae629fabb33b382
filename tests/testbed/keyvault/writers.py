"""Threads that write to a vault until it is gone, and remember what was acknowledged."""

from __future__ import annotations

import itertools
import threading
from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import httpx

from tests.testbed.keyvault.ground import TestVault

WRITERS = 4
Key = TypeVar("Key")
Acknowledged = TypeVar("Acknowledged")


class Writers(ABC, Generic[Key, Acknowledged]):
    """`enough` is set once so many acknowledgements have come."""

    def __init__(self, vault: TestVault, token: str, prefix: str, enough: int) -> None:
        self.prefix = prefix
        self._vault, self._token, self._enough = vault, token, enough
        self.acknowledged: dict[Key, Acknowledged] = {}
        self.enough = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=[number]) for number in range(WRITERS)]

    @abstractmethod
    def write(self, client: httpx.Client, writer: int, number: int) -> None:
        """The *number*-th time."""

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()

    def remember(self, key: Key, acknowledged: Acknowledged) -> None:
        with self._lock:
            self.acknowledged[key] = acknowledged
            if len(self.acknowledged) >= self._enough:
                self.enough.set()

    def _run(self, writer: int) -> None:
        with self._vault.http(self._token) as client:
            for number in itertools.count():
                try:
                    self.write(client, writer, number)
                except httpx.TransportError:
                    return
