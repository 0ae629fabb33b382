"""A receiver's secrets: read again and again, and what cannot be read stays what it was."""

from __future__ import annotations

import logging

import pytest

from services.webhooks.secrets import Secrets
from steward.settings import Webhooks

ONE, OTHER = "sixteen characters", "sixteen other characters"


@pytest.fixture
def secrets(tmp_path):
    (tmp_path / "one").write_text(ONE)
    (tmp_path / "other").write_text(OTHER)
    sources = {
        "github": {"kind": "github", "secrets": [f"file:{tmp_path / 'one'}", f"file:{tmp_path / 'other'}"]},
        "ci": {"kind": "signed", "secrets": [f"file:{tmp_path / 'ci'}"]},
    }
    return Secrets(Webhooks.model_validate({"url": "http://127.0.0.1:1", "sources": sources}), None)


def test_what_was_read_is_taken_and_what_was_not_is_named(secrets, tmp_path):
    assert secrets.unread() == ["github", "ci"]
    secrets.read()
    assert set(secrets.of("github")) == {ONE.encode(), OTHER.encode()}
    assert secrets.of("ci") == ()
    assert secrets.unread() == ["ci"]
    (tmp_path / "ci").write_text("whsec_" + "A" * 32)
    secrets.read()
    assert secrets.of("ci") == (bytes(24),)
    assert secrets.unread() == []


def test_one_that_is_replaced_is_read_anew_and_one_that_is_gone_stays(secrets, tmp_path):
    secrets.read()
    (tmp_path / "one").write_text("a third one of sixteen")
    (tmp_path / "other").unlink()
    secrets.read()
    assert set(secrets.of("github")) == {b"a third one of sixteen", OTHER.encode()}
    assert secrets.is_complete("github")


def test_one_that_is_of_no_use_is_told_once_and_never_shown(secrets, tmp_path, caplog):
    (tmp_path / "ci").write_text("hunter2hunter2")
    with caplog.at_level(logging.WARNING):
        secrets.read()
        secrets.read()
    assert [record.message for record in caplog.records] == [
        "a secret of the source ci cannot be used: a signed source's secret is not whsec_ and 24 to 64 bytes in base64"
    ]
    assert "hunter2" not in caplog.text
    assert secrets.unread() == ["ci"]
