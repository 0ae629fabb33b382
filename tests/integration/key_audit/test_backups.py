"""Backups beyond the promise, and erasures that were undone, are named."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from steward.clients import erasures
from steward.clients.backup_bucket import open_backup_bucket
from steward.clients.postgres import connect
from steward.migrations.apply import migrate
from tests.integration.audit_ground import lay_backup
from tests.integration.fresh_database import fresh_database

pytestmark = pytest.mark.without_search


def test_backups_beyond_the_promise_or_none_at_all_are_named(shared):
    old = lay_backup(shared.settings, timedelta(days=31))
    try:
        assert set(shared.found("backups")) == {"backup-too-old:keyring"}
    finally:
        with open_backup_bucket(shared.settings) as bucket:
            for version in bucket.versions():
                if version.key == old.key:
                    bucket.delete(version)
    longer = shared.clean.backups.model_copy(update={"retention_days": 60})
    assert set(shared.found(backups=longer)) == {"backup-retention:keyring"}
    stale = shared.clean.backups.model_copy(update={"newest_at": datetime.now(UTC) - timedelta(hours=27)})
    assert set(shared.found(backups=stale)) == {"backup-missing:keyring"}


def test_an_erasure_that_a_restore_undid_is_named(shared):
    past = datetime.now(UTC) - timedelta(days=40)
    with fresh_database(shared.settings) as settings:
        migrate(settings)
        with connect(settings) as db:
            erasures.note_erasure(db, "acme", "request 1", None)
            erasures.note_erased(db, "acme", past, past + timedelta(days=30))
        facts = dataclasses.replace(shared, settings=settings).read("backups", shared.policy, "")
    assert set(shared.found(backups=facts)) == {
        "backup-missing:keyring",
        "erasure-overdue:acme",
        "erasure-undone:acme",
    }
