"""What the host of the shop takes: the release that was built has every field, and no other."""

import tomllib
from pathlib import Path

FIELDS = {"description", "off", "on", "starts", "healthy", "flag", "seed"}
DIALS = {"erring_percent", "median_ms", "fruitless_percent", "spread"}


def test_the_host_knows_every_field_of_what_was_built():
    release = tomllib.loads(Path("build/release.toml").read_text())
    assert set(release) <= FIELDS
    assert set(release["off"]) | set(release["on"]) <= DIALS


def test_what_was_built_has_a_description():
    assert tomllib.loads(Path("build/release.toml").read_text())["description"]
