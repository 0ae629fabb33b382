"""The sample application's ground of a test's own: its database and a keyring, both laid and empty."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from demo.customers.ground import lay_tables
from steward.settings import Settings
from tests.integration.fresh_application import fresh_application
from tests.integration.fresh_keyring import fresh_keyring


@contextmanager
def fresh_customers(settings: Settings) -> Generator[Settings]:
    """The same settings with both, which are dropped afterwards."""
    with fresh_application(settings) as application, fresh_keyring(application) as both:
        lay_tables(both)
        yield both
