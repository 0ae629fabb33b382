from __future__ import annotations

import secrets
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from steward.clients import s3
from steward.clients.s3 import (
    BucketMissing,
    BucketWithoutLock,
    ObjectMissing,
    ObjectNotLocked,
    ObjectStoreRefused,
    ObjectStoreUnavailable,
    open_evidence_bucket,
)
from steward.errors import BadInput
from steward.settings import read_secret
from tests.integration.closed_doors import closed_port, silent_port
from tests.integration.fresh_database import changed

pytestmark = pytest.mark.without_search

HOUR = timedelta(hours=1)


@pytest.fixture
def bucket(settings):
    with open_evidence_bucket(settings) as bucket:
        yield bucket


@pytest.fixture
def key():
    return f"tests/{secrets.token_hex(8)}"


def _until(hours=1):
    return datetime.now(UTC) + timedelta(hours=hours)


def _raised(kind, settings):
    with pytest.raises(kind) as raised, open_evidence_bucket(settings):
        pass
    return raised.value


def test_what_is_put_is_locked_and_read_back(bucket, key):
    until = _until()
    stored = bucket.put_once(key, b'{"a":1}', locked_until=until)
    assert stored.body == b'{"a":1}'
    assert stored.version_id
    assert abs(stored.locked_until - until) < timedelta(seconds=2)
    assert bucket.get(key) == stored == bucket.get(key, stored.version_id)


def test_a_repeat_changes_nothing_and_returns_what_is_there(bucket, key):
    first = bucket.put_once(key, b"first", locked_until=_until())
    assert bucket.put_once(key, b"second", locked_until=_until(2)) == first
    versions = bucket.client.list_object_versions(Bucket=bucket.name, Prefix=key)["Versions"]
    assert len(versions) == 1


def test_of_several_at_the_same_moment_one_writes(bucket, key):
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda n: bucket.put_once(key, b"%d" % n, locked_until=_until()), range(8)))
    assert len({one.version_id for one in stored}) == 1
    assert len({one.body for one in stored}) == 1


@pytest.mark.parametrize("bypass", [False, True])
def test_a_locked_version_cannot_be_deleted(bucket, key, bypass):
    stored = bucket.put_once(key, b"kept", locked_until=_until())
    with pytest.raises(ClientError, match="AccessDenied"):
        bucket.client.delete_object(
            Bucket=bucket.name, Key=key, VersionId=stored.version_id, BypassGovernanceRetention=bypass
        )
    assert bucket.get(key, stored.version_id) == stored


def test_a_deletion_without_a_version_hides_the_object_and_keeps_it(bucket, key):
    stored = bucket.put_once(key, b"kept", locked_until=_until())
    bucket.client.delete_object(Bucket=bucket.name, Key=key)
    with pytest.raises(ObjectMissing):
        bucket.get(key)
    assert bucket.get(key, stored.version_id).body == b"kept"


@pytest.mark.parametrize("mode", ["COMPLIANCE", "GOVERNANCE"])
def test_a_lock_can_be_neither_shortened_nor_weakened(bucket, key, mode):
    stored = bucket.put_once(key, b"kept", locked_until=_until(2))
    retention = {"Mode": mode, "RetainUntilDate": _until(1)}
    with pytest.raises(ClientError, match="AccessDenied"):
        bucket.client.put_object_retention(
            Bucket=bucket.name,
            Key=key,
            VersionId=stored.version_id,
            Retention=retention,
            BypassGovernanceRetention=True,
        )


def test_an_object_that_somebody_wrote_without_a_lock_is_not_taken_for_evidence(bucket, key):
    bucket.client.put_object(Bucket=bucket.name, Key=key, Body=b"unlocked")
    with pytest.raises(ObjectNotLocked, match="locked until never"):
        bucket.put_once(key, b"unlocked", locked_until=_until())


def test_a_missing_object_is_told(bucket, key):
    with pytest.raises(ObjectMissing, match=key):
        bucket.get(key)


def test_a_bucket_without_object_lock_is_refused_by_name(settings, bucket):
    name = f"plain-{secrets.token_hex(4)}"
    bucket.client.create_bucket(Bucket=name)
    try:
        error = _raised(BucketWithoutLock, changed(settings, "objects", evidence_bucket=name))
    finally:
        bucket.client.delete_bucket(Bucket=name)
    assert f"bucket {name} " in error.message
    assert "objects.evidence_bucket" in error.hint


def test_a_missing_bucket_is_refused_by_name(settings):
    error = _raised(BucketMissing, changed(settings, "objects", evidence_bucket="absent"))
    assert "no bucket absent" in error.message


@pytest.mark.parametrize("wrong", ["access_key", "secret_key"])
def test_wrong_keys_are_refused_and_told_nowhere(settings, tmp_path, wrong):
    file = tmp_path / "key"
    file.write_text("hunter2hunter2")
    error = _raised(ObjectStoreRefused, changed(settings, "objects", **{wrong: f"file:{file}"}))
    told = "".join(traceback.format_exception(error))
    assert "objects.secret_key" in error.hint
    assert not error.transient
    for secret in ("hunter2", read_secret(settings.objects.secret_key), read_secret(settings.objects.access_key)):
        assert secret not in told


def test_a_port_where_nothing_listens_is_transient(settings):
    error = _raised(ObjectStoreUnavailable, changed(settings, "objects", endpoint=f"https://127.0.0.1:{closed_port()}"))
    assert error.transient
    assert read_secret(settings.objects.secret_key) not in "".join(traceback.format_exception(error))


def test_a_frozen_server_is_given_up_in_time(settings, monkeypatch):
    monkeypatch.setattr(s3, "READ_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(s3, "CONNECT_TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(s3, "ATTEMPTS", 2)
    started = time.monotonic()
    with silent_port() as port:
        _raised(ObjectStoreUnavailable, changed(settings, "objects", endpoint=f"http://127.0.0.1:{port}", ca_file=None))
    assert time.monotonic() - started < 10


def test_another_ca_is_refused_in_words(settings, tmp_path):
    error = _raised(ObjectStoreRefused, changed(settings, "objects", ca_file=_another_ca(tmp_path)))
    assert "certificate is not trusted" in error.message
    assert "objects.ca_file" in error.hint


def test_a_missing_ca_file_is_named(settings, tmp_path):
    error = _raised(BadInput, changed(settings, "objects", ca_file=tmp_path / "absent.crt"))
    assert "absent.crt" in error.message


def test_an_endpoint_that_is_no_url_is_named(settings):
    assert "objects.endpoint" in _raised(BadInput, changed(settings, "objects", endpoint="somewhere")).message


def test_a_profile_that_does_not_exist_is_told(settings, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "absent-profile")
    assert "absent-profile" in _raised(BadInput, settings).message


def _another_ca(folder):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "another")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - HOUR, now + HOUR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "another.crt"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return path
