"""Certificates that a client trusts: read once, and those of a file where one is named."""

from __future__ import annotations

import pytest

from replica.certificates import authority
from steward.clients.authorities import authorities
from steward.errors import BadInput


@pytest.fixture(autouse=True)
def not_read_yet():
    authorities.cache_clear()
    yield
    authorities.cache_clear()


def test_they_are_read_once():
    assert authorities() is authorities()


def test_a_file_that_is_named_is_trusted_alone(monkeypatch, tmp_path):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority(tmp_path / "ours")))
    assert len(authorities().get_ca_certs()) == 1


@pytest.mark.parametrize("text", [None, "no certificate"])
def test_a_file_that_cannot_be_read_is_told_in_words(monkeypatch, tmp_path, text):
    path = tmp_path / "ca.pem"
    if text:
        path.write_text(text)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(BadInput, match="SSL_CERT_FILE"):
        authorities()
