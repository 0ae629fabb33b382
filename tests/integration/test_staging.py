"""Where copies are fetched to: a folder, or a bucket, that clusters read."""

from __future__ import annotations

import secrets
import stat
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from steward.clients.offsite_errors import ContentDiffers
from steward.clients.staging import FolderPlace, StagingAway, StagingFull, StagingUnnamed, check_staging, open_staging
from steward.errors import BadInput
from steward.settings import BucketStaging, FolderStaging, Snapshots
from tests.integration.offsite_ground import admin, content_of, fresh_bucket

pytestmark = pytest.mark.without_search

NAME, PATH, BODY = "offsite-20260501-7-1", "indices/a/0/__x", b"a blob" * 1000


def told(settings, staging):
    return settings.model_copy(update={"snapshots": Snapshots(staging=staging)})


@contextmanager
def _folder(settings, tmp_path):
    yield told(settings, FolderStaging(kind="fs", path=tmp_path))


@contextmanager
def _bucket(settings, _tmp_path):
    with admin(settings) as client, fresh_bucket(client) as name:
        yield told(settings, BucketStaging(kind="s3", bucket=name, base_path="below", client="recovery"))


@pytest.fixture(params=[_folder, _bucket])
def staged(request, settings, tmp_path):
    with request.param(settings, tmp_path) as there:
        yield there


def chunks():
    return iter([BODY[:10], BODY[10:]])


def test_what_was_written_is_held_until_it_is_cleared(staged):
    with open_staging(staged, NAME) as place:
        assert not place.holds(PATH, content_of(BODY))
        place.write(PATH, chunks(), content_of(BODY))
        assert place.holds(PATH, content_of(BODY))
        assert not place.holds(PATH, content_of(BODY[:-1]))
        assert not place.holds(PATH, content_of(BODY[::-1]))
    with open_staging(staged, "another") as other:
        assert not other.holds(PATH, content_of(BODY))
        other.clear()
    with open_staging(staged, NAME) as place:
        assert place.holds(PATH, content_of(BODY))
        place.clear()
        place.clear()
        assert not place.holds(PATH, content_of(BODY))


@pytest.mark.parametrize("body", [BODY[:-1], BODY + b"!", b"!" * len(BODY), b""])
def test_what_is_not_as_promised_is_not_there(staged, body):
    with open_staging(staged, NAME) as place:
        with pytest.raises(ContentDiffers, match=PATH):
            place.write(PATH, iter([body]), content_of(BODY))
        assert not place.holds(PATH, content_of(BODY))
        assert not place.holds(PATH, content_of(body))
        place.clear()


def test_an_empty_blob_is_a_blob(staged):
    with open_staging(staged, NAME) as place:
        place.write(PATH, iter([]), content_of(b""))
        assert place.holds(PATH, content_of(b""))
        place.clear()


def test_clusters_are_told_of_it_read_only(staged):
    with open_staging(staged, NAME) as place:
        body = place.repository()
    assert body["settings"]["readonly"] == "true"
    if body["type"] == "s3":
        assert (body["settings"]["base_path"], body["settings"]["client"]) == (f"below/{NAME}", "recovery")


def test_what_cannot_be_cleared_is_told(settings):
    # As somebody takes a bucket that locks for it.
    staging = BucketStaging(kind="s3", bucket=settings.objects.evidence_bucket, base_path="tests")
    name = f"offsite-{secrets.token_hex(8)}"
    with open_staging(told(settings, staging), name) as place, admin(settings) as client:
        place.write(PATH, chunks(), content_of(BODY))
        retention = {"Mode": "GOVERNANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(minutes=10)}
        client.put_object_retention(Bucket=staging.bucket, Key=f"tests/{name}/{PATH}", Retention=retention)
        with pytest.raises(StagingAway, match="does not delete") as raised:
            place.clear()
    assert "without Object Lock" in raised.value.hint


def test_clusters_are_told_where_they_see_the_folder(settings, tmp_path):
    staging = FolderStaging(kind="fs", path=tmp_path, location="/mnt/elsewhere")
    with open_staging(told(settings, staging), NAME) as place:
        assert place.repository()["settings"]["location"] == f"/mnt/elsewhere/{NAME}"


def test_no_write_leaves_once_it_may_not(staged):
    def refuse():
        raise PermissionError("superseded")

    with open_staging(staged, NAME, before_write=refuse) as place:
        with pytest.raises(PermissionError, match="superseded"):
            place.write(PATH, chunks(), content_of(BODY))
        assert not place.holds(PATH, content_of(BODY))


def test_a_fit_place_is_tried_and_left_as_it_was(staged):
    check_staging(staged, 1)
    with open_staging(staged, NAME) as place:
        assert not isinstance(place, FolderPlace) or not list(place.parent.iterdir())


def test_what_is_killed_halfway_is_not_held(settings, tmp_path):
    def killed():
        yield BODY[:10]
        raise KeyboardInterrupt

    with open_staging(told(settings, FolderStaging(kind="fs", path=tmp_path)), NAME) as place:
        with pytest.raises(KeyboardInterrupt):
            place.write(PATH, killed(), content_of(BODY))
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_only_who_the_folder_is_shared_with_reads_what_was_fetched(settings, tmp_path):
    with open_staging(told(settings, FolderStaging(kind="fs", path=tmp_path)), NAME) as place:
        place.write(PATH, chunks(), content_of(BODY))
        assert stat.S_IMODE(place.folder.stat().st_mode) & 0o007 == 0
        assert stat.S_IMODE((place.folder / PATH).stat().st_mode) & 0o007 == 0


@pytest.mark.parametrize("staging", [None, "absent"])
def test_no_place_to_fetch_to_is_told_with_a_hint(settings, tmp_path, staging):
    if staging:
        settings = told(settings, FolderStaging(kind="fs", path=tmp_path / "absent"))
    else:
        settings = settings.model_copy(update={"snapshots": None})
    with pytest.raises(BadInput) as raised:
        check_staging(settings, 1)
    assert isinstance(raised.value, StagingUnnamed) is (staging is None)
    assert "snapshots.staging" in raised.value.hint


def test_a_share_that_is_not_mounted_is_not_written_below(settings, tmp_path):
    with (
        open_staging(told(settings, FolderStaging(kind="fs", path=tmp_path / "absent")), NAME) as place,
        pytest.raises(BadInput),
    ):
        place.write(PATH, chunks(), content_of(BODY))
    assert list(tmp_path.iterdir()) == []


def test_a_place_without_room_is_told_before_anything_is_fetched(settings, tmp_path):
    with pytest.raises(StagingFull, match="are to be fetched") as raised:
        check_staging(told(settings, FolderStaging(kind="fs", path=tmp_path)), 1 << 60)
    assert "offsite_proof_bytes" in raised.value.hint


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", ".hidden", "a" * 102])
def test_a_name_leads_nowhere_else(settings, tmp_path, name):
    with (
        pytest.raises(BadInput, match="is no place to fetch to"),
        open_staging(told(settings, FolderStaging(kind="fs", path=tmp_path)), name),
    ):
        pass
