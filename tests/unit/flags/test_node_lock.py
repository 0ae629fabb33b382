"""Node's packages are the ones that were tried, from wherever whoever installs them gets them."""

from __future__ import annotations

import json
import tomllib
from importlib.resources import files
from pathlib import Path

FOLDER = Path(str(files("deployments"))) / "flags" / "agreement"
PACKAGES = json.loads((FOLDER / "package-lock.json").read_text())["packages"]


def test_every_package_is_locked_by_hash_and_names_no_address():
    installed = {name: package for name, package in PACKAGES.items() if name}
    assert "node_modules/@openfeature/flagd-core" in installed
    for package in installed.values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package
        assert "hasInstallScript" not in package
    assert "https:" not in (FOLDER / "package-lock.json").read_text()


def test_both_sdks_are_pinned_to_the_releases_that_agree():
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert "openfeature-flagd-core==1.0.0" in project["project"]["optional-dependencies"]["flags"]
    assert PACKAGES[""]["dependencies"]["@openfeature/flagd-core"] == "4.0.1"
    assert PACKAGES["node_modules/@openfeature/flagd-core"]["version"] == "4.0.1"
