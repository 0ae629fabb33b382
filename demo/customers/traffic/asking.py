"""How a user reaches the application; over HTTP or straight at the database, with the same answers."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from demo.customers.values import Values


class Failed(Exception):
    """A request that was not answered as it should be. Its text is the reason in a few words, without values.

    A write that failed so may have happened.
    """


class Refused(Failed):
    """The server says that it did not do it."""


class Asking(Protocol):
    """One user. Every call raises Failed or Refused."""

    def read(self, tenant: str, row: UUID) -> Values:
        """One customer."""
        ...

    def search(self, tenant: str, email: str) -> set[UUID]:
        """Customers with this address."""
        ...

    def update(self, tenant: str, row: UUID, values: Values) -> Values:
        """Change one; what it is now."""
        ...

    def create(self, tenant: str, values: Values) -> tuple[UUID, Values]:
        """A new one, and what it is."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...
