"""What of secrets is in a process's memory when it is done with them: measured, and promised only where it is certain.

`pytest --log-cli-level=INFO tests/integration/exposure` shows the figures.
"""

from __future__ import annotations

import logging

import pytest

from tests.integration.exposure.lingering_application import CLOSED, SERVING
from tests.integration.exposure.scanning import copies_in
from tests.integration.exposure.search import Search
from tests.integration.exposure.sentinel_run import TENANTS

pytestmark = pytest.mark.without_search

_log = logging.getLogger(__name__)


@pytest.fixture(scope="module")
def left(ran):
    """Copies by kind and form, by process."""
    search = Search(ran.secrets)
    memories = {SERVING: ran.memory(SERVING), CLOSED: ran.memory(CLOSED)}
    memories |= {flow: ran.memory_of(flow) for flow in ran.runs}
    left = {name: copies_in(search, memory) for name, memory in memories.items()}
    for name, copies in left.items():
        told = ", ".join(f"{count} {kind} {form}" for (kind, form), count in sorted(copies.items()))
        _log.info("%s, %.0f MB: %s", name, len(memories[name]) / 1e6, told)
    return left


def test_keys_are_seen_while_they_are_in_use(left):
    """Else the figures below would be of a search that sees nothing."""
    assert left[SERVING]["master key", "raw"] >= len(TENANTS)


def test_the_cache_wipes_its_keys_when_it_is_closed(left):
    """What remains is the vault's answers, which Python keeps where nobody can wipe them."""
    assert left[CLOSED]["master key", "raw"] <= left[SERVING]["master key", "raw"] - len(TENANTS)


def test_keys_of_fields_outlive_no_flow_and_no_cache(ran, left):
    """They are OpenSSL's, which wipes its memory. While they are in use, one that was just derived may lie on a stack."""
    for process in (CLOSED, *ran.runs):
        assert not [(kind, form) for kind, form in left[process] if kind == "field key"], process
