"""A cluster that is as described, for tests that begin there."""

from __future__ import annotations

from tasks.search import compare_cluster, put_cluster_settings, put_repository, put_roles, put_template

CLUSTER = "production"


def provision() -> None:
    """Without a flow, and only if something differs: most tests begin here."""
    if compare_cluster.fn(CLUSTER, "fs").as_described:
        return
    for put in (put_roles, put_template, put_repository, put_cluster_settings):
        put.fn(CLUSTER, "fs")
