"""The sample application's way to its documents: the vendor's client, as the user `tenants`, through aliases only."""

from __future__ import annotations

import certifi
from elasticsearch import Elasticsearch

from steward.clients.secrets import read_secret
from steward.settings import Settings


def connect(settings: Settings) -> Elasticsearch:
    """A client of the production cluster; close it, or use it in `with`."""
    cluster = settings.cluster("production")
    user = cluster.users["tenants"]
    return Elasticsearch(
        cluster.hosts,
        ca_certs=str(cluster.ca_file or certifi.where()),
        basic_auth=(user.username, read_secret(user.password, settings.vault)),
        request_timeout=30,
        # A retried write may be a write done twice: what became of it is the caller's to say.
        max_retries=0,
    )
