"""Dials are read, and wrong ones refused."""

from pathlib import Path

import pytest

from shop_release.dials import WrongDials, read, share_of_failures

DIALS = Path("dials.toml")


def test_the_dials_of_this_release_can_be_read():
    assert set(read(DIALS)) >= {"description", "off", "on"}


def test_dials_without_a_variant_are_refused(tmp_path):
    path = tmp_path / "dials.toml"
    path.write_text("[off]\nerring_percent = 1.0\n")
    with pytest.raises(WrongDials, match="on.erring_percent"):
        read(path)


def test_nobody_exposed_is_the_old_search_and_everybody_the_new_one():
    dials = {"on": {"erring_percent": 5.0}, "off": {"erring_percent": 1.0}}
    assert share_of_failures(dials, 0) == 0.01
    assert share_of_failures(dials, 100) == 0.05
