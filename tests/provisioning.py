"""A cluster that is as described, for tests that begin there."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from tasks.search import compare_cluster, put_cluster_settings, put_repository, put_roles, put_template

CLUSTER = "production"


def bare(step: Any) -> Callable[..., Any]:
    """A step's own function, outside of any operation: neither Prefect nor the ledger hears of it."""
    return inspect.unwrap(step.fn)


def provision() -> None:
    """Without a flow, and only if something differs: most tests begin here."""
    if bare(compare_cluster)(CLUSTER, "fs").as_described:
        return
    for put in (put_roles, put_template, put_repository, put_cluster_settings):
        bare(put)(CLUSTER, "fs")


def add_roles(file: Path, roles: Mapping[str, Any]) -> None:
    """To a node's roles.yml by hand: whole or not at all, for the node may read it at any moment."""
    beside = file.with_name(".roles-by-hand.yml")
    beside.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | roles))
    beside.replace(file)


def written(file: Path) -> tuple[int, int]:
    """Which file it is and when it was written; not when a node last read it."""
    status = file.stat()
    return status.st_ino, status.st_mtime_ns
