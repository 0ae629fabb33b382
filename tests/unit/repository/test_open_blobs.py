"""Where a repository lies is said by the settings, and where they do not say it, they are what is to be changed."""

import pytest

from steward.clients.blobs import open_blobs
from steward.errors import BadInput
from steward.repository.errors import BlobsAway
from steward.settings import FolderRepository
from steward.settings.snapshots import Snapshots
from tests.unit.repository.sample import sample


class Given:
    """Settings of which only this part is asked for."""

    def __init__(self, snapshots=None) -> None:
        self.snapshots = snapshots


def folder(path):
    return Given(Snapshots(repositories={"nightly": FolderRepository(kind="fs", path=path)}))


def test_a_folder_is_read_where_the_settings_say(tmp_path):
    (tmp_path / "index.latest").write_bytes(sample()["index.latest"])
    with open_blobs(folder(tmp_path), "nightly") as blobs:
        assert blobs.read("index.latest") == sample()["index.latest"]


def test_an_absent_folder_is_told_before_anything_is_asked_of_it(tmp_path):
    with pytest.raises(BlobsAway, match="is it mounted"), open_blobs(folder(tmp_path / "gone"), "nightly"):
        pass


def test_settings_without_repositories_are_told_what_to_add():
    with (
        pytest.raises(BadInput, match=r"\[snapshots.repositories.nightly\].*switch blobs"),
        open_blobs(Given(), "nightly"),
    ):
        pass


def test_an_unknown_repository_is_told_with_the_known_ones(tmp_path):
    with pytest.raises(BadInput, match="'weekly' lies; known: nightly"), open_blobs(folder(tmp_path), "weekly"):
        pass
