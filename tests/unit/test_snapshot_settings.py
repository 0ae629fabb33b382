from __future__ import annotations

import pytest

from steward.errors import BadInput
from steward.settings import load
from tests.unit.test_settings import WHOLE

READ = """
[snapshots.repositories.nightly]
kind = "s3"
bucket = "search-snapshots"
base_path = "production"
"""
OWN = """endpoint = "https://s3.elsewhere.example"
access_key = "file:/run/secrets/reader-access"
secret_key = "file:/run/secrets/reader-secret"
"""
OFFSITE = """
[snapshots.offsite]
bucket = "search-offsite"
"""
FOLDER = """
[snapshots.repositories.nightly]
kind = "fs"
path = "/mnt/nightly"
"""


@pytest.fixture
def told(tmp_path):
    def _told(text):
        file = tmp_path / "settings.toml"
        file.write_text(
            WHOLE.replace("[objects]", '[objects]\nendpoint = "https://s3.example"\nca_file = "/ca"') + text
        )
        return load(file)

    return _told


def _refusal(told, text):
    with pytest.raises(BadInput) as raised:
        told(text)
    assert "/run/secrets" not in str(raised.value)
    return str(raised.value)


def test_snapshots_may_be_absent_as_a_whole_and_in_each_part(told):
    assert told("").snapshots is None
    parts = told("[snapshots]\n").snapshots
    assert (parts.repositories, parts.offsite, parts.staging) == ({}, None, None)


def test_a_repository_that_nobody_told_of_is_named_beside_the_known_ones(told):
    with pytest.raises(BadInput, match="'weekly' lies; known: nightly") as raised:
        told(FOLDER).snapshots.repository("weekly")
    assert "[snapshots.repositories.weekly]" in raised.value.hint
    assert str(told(FOLDER).snapshots.repository("nightly").path) == "/mnt/nightly"


def test_a_bucket_without_an_endpoint_is_in_the_store_of_objects(told):
    settings = told(READ)
    store = settings.snapshots.repository("nightly").store(settings.objects)
    assert store.model_dump() == settings.objects.model_dump(include=set(type(store).model_fields))


def test_a_bucket_in_the_store_of_objects_may_have_keys_of_its_own(told):
    settings = told(READ + OWN.partition("\n")[2])
    store = settings.snapshots.repository("nightly").store(settings.objects)
    assert (store.endpoint, str(store.ca_file)) == ("https://s3.example", "/ca")
    assert store.access_key == "file:/run/secrets/reader-access"


def test_another_endpoint_takes_nothing_of_objects(told):
    settings = told(READ + OWN)
    store = settings.snapshots.repository("nightly").store(settings.objects)
    assert (store.endpoint, store.region, store.ca_file) == ("https://s3.elsewhere.example", "us-east-1", None)
    assert store.secret_key == "file:/run/secrets/reader-secret"


def test_keys_of_objects_are_not_sent_to_another_endpoint(told):
    assert "are not sent there" in _refusal(told, READ + OWN.partition("\n")[0])


def test_half_a_pair_of_keys_is_refused(told):
    assert "belong together" in _refusal(told, READ + 'access_key = "file:/run/secrets/reader-access"\n')


def test_keys_in_the_vault_need_one(told):
    text = READ + OWN.replace("file:/run/secrets/reader-", "keyvault:reader-")
    assert "snapshots.repositories.nightly.access_key" in _refusal(told, text)


def test_a_copy_in_the_bucket_of_its_original_is_refused(told):
    assert "offsite and nightly are the same bucket" in _refusal(
        told, READ + OFFSITE.replace("search-offsite", "search-snapshots")
    )
    assert told(READ + OFFSITE).snapshots.offsite.bucket == "search-offsite"


def test_staging_in_the_offsite_bucket_is_refused(told):
    staging = '[snapshots.staging]\nkind = "s3"\nbucket = "search-offsite"\n'
    assert "offsite and staging" in _refusal(told, OFFSITE + staging)


@pytest.mark.parametrize("path", ["/mnt/nightly", "/mnt/nightly/staging", "/mnt"])
def test_staging_that_a_repository_could_be_damaged_by_is_refused(told, path):
    text = FOLDER + f'[snapshots.staging]\nkind = "fs"\npath = "{path}"\n'
    assert "staging lies within nightly" in _refusal(told, text)


@pytest.mark.parametrize(("base_path", "apart"), [("", False), ("production/x", False), ("staging", True)])
def test_staging_in_a_repository_s_bucket_has_a_path_of_its_own(told, base_path, apart):
    text = READ + f'[snapshots.staging]\nkind = "s3"\nbucket = "search-snapshots"\nbase_path = "{base_path}"\n'
    if apart:
        assert told(text).snapshots.staging.client == "default"
    else:
        assert "staging lies within nightly" in _refusal(told, text)


@pytest.mark.parametrize("line", ['base_path = "/x"', 'base_path = "x/"', 'bucket = "A"', 'kind = "azure"', "mode = 1"])
def test_a_place_that_is_none_is_refused_by_field(told, line):
    name = line.partition(" ")[0]
    text = "\n".join(each for each in READ.splitlines() if not each.startswith(name)) + f"\n{line}\n"
    assert "snapshots.repositories.nightly" in _refusal(told, text)
