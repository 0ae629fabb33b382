"""The replica's own bucket for all tests of the package, each of which has a key of its own."""

from __future__ import annotations

import secrets

import pytest

from steward.clients import offsite_uploads
from steward.clients.offsite_bucket import open_offsite_bucket
from tests.integration.offsite_bucket.ground import PART
from tests.integration.offsite_ground import offsite


@pytest.fixture
def bucket(settings):
    # The evidence bucket, under keys of the test's own: what is locked cannot be cleared away.
    with open_offsite_bucket(offsite(settings, settings.objects.evidence_bucket)) as bucket:
        yield bucket


@pytest.fixture
def key():
    return f"tests/{secrets.token_hex(8)}"


@pytest.fixture
def small_parts(monkeypatch):
    monkeypatch.setattr(offsite_uploads, "PART_BYTES", PART)
