import pytest

from replica.selection import dependents, select
from replica.servers import SERVERS
from steward.errors import BadInput


def names(servers):
    return [server.name for server in servers]


def test_what_a_server_needs_comes_with_it_and_before_it():
    assert names(select(SERVERS, ["worker"])) == ["postgres", "prefect", "worker"]


def test_a_cluster_is_started_whole():
    assert names(select(SERVERS, ["es-2"])) == ["es-1", "es-2", "es-3"]


def test_proxies_come_before_everything_once_they_are_asked_for():
    assert names(select(SERVERS, ["postgres"], proxied=True)) == ["proxies", "postgres"]
    assert "proxies" not in names(select(SERVERS, []))


def test_every_server_is_listed_after_what_it_needs():
    for position, server in enumerate(SERVERS):
        assert set(server.needs) <= set(names(SERVERS[:position]))


def test_stopping_a_server_stops_what_stands_on_it():
    standing = ["postgres", "gateway", "prefect", "worker", "watch", "flags", "shop", "webhooks", "dispatcher"]
    assert names(dependents(SERVERS, ["postgres"])) == standing
    assert names(dependents(SERVERS, ["s3"])) == ["s3"]


def test_an_unknown_server_is_refused_with_the_known_ones():
    with pytest.raises(BadInput, match="unknown server 'redis'") as caught:
        select(SERVERS, ["redis"])
    assert "postgres, redis-1, redis-2" in caught.value.hint
    assert "es-1, es-2, es-3, scratch, s3, keyvault, providers, gateway, prefect, worker" in caught.value.hint
