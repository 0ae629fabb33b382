"""One Elasticsearch cluster, as one of its users: administrative calls decoded, search pages as raw bytes.

Built on elasticsearch-py's transport: keep-alive TLS connections, another node when one is gone. What it adds is
patience where a node is only full, answers that are not decoded before someone knows into what, and errors in words.
"""

from __future__ import annotations

import ssl
import time
from base64 import b64encode
from collections.abc import Collection, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import certifi
import msgspec
from elastic_transport import JsonSerializer, NodeConfig, Serializer, Transport, TransportError, Urllib3HttpNode
from elasticsearch import ApiError, Elasticsearch
from urllib3 import HTTPSConnectionPool

from steward.clients.before_writing import BeforeWrite, in_context_of_opening, is_write
from steward.clients.elasticsearch_errors import AWAY, BUSY, answered, translate, unanswered
from steward.clients.secrets import read_secret
from steward.errors import BadInput
from steward.settings import SearchCluster, Settings

#: Seconds between tries where a node is full (429) or has no master (503): 8 s in all, as long as an election takes.
PATIENCE = (0.1, 0.5, 2.0, 5.0)
#: Above the 60 s that the server itself may wait for a master or for all shards.
REQUEST_TIMEOUT_SECONDS = 120
#: Answers to this are left as bytes; the client's own calls ask for the vendor's type and are decoded.
RAW_JSON = "application/json"
VENDOR_JSON = "application/vnd.elasticsearch+json"


class _Undecoded(Serializer):
    mimetype = RAW_JSON

    def dumps(self, data: Any) -> bytes:
        return data if isinstance(data, bytes) else msgspec.json.encode(data)

    def loads(self, data: bytes) -> bytes:
        return data


class SearchClient:
    """A cluster under one user. Threads may share it. `elasticsearch` is elasticsearch-py on the same connections."""

    def __init__(self, cluster: str, user: str, hosts: list[str], elasticsearch: Elasticsearch, login: str) -> None:
        self.cluster, self.user, self._hosts = cluster, user, hosts
        self.elasticsearch = elasticsearch
        self._transport: Transport = elasticsearch.transport
        self._headers = {"accept": RAW_JSON, "content-type": RAW_JSON, "authorization": login}

    def request(self, method: str, path: str, body: Any = None, *, ok: Collection[int] = ()) -> Any:
        """The decoded answer to one call; {} where the answer has no body. A status in *ok* is an answer too."""
        answer = self.raw(method, path, body, ok=ok)
        return msgspec.json.decode(answer) if answer else {}

    def raw(self, method: str, path: str, body: Any = None, *, ok: Collection[int] = ()) -> bytes:
        """The answer's bytes. Raises SearchAway, SearchBusy, CertificateRefused, LoginRefused, NotPermitted, SearchRefused."""
        what = f"{method} {path.partition('?')[0][:200]}"
        status, answer = self._once(method, path, body, what)
        for pause in PATIENCE:
            if status not in AWAY | {BUSY} or status in ok:
                break
            time.sleep(pause)
            status, answer = self._once(method, path, body, what)
        if status >= 300 and status not in ok:  # noqa: PLR2004  HTTP's own bound of success
            raise answered(self.cluster, self.user, what, status, answer)
        return answer

    def _once(self, method: str, path: str, body: Any, what: str) -> tuple[int, bytes]:
        try:
            meta, answer = self._transport.perform_request(
                method, path, body=body, headers=self._headers, retry_on_status=(), max_retries=len(self._hosts)
            )
        except TransportError as error:
            # Without its cause: a chain of eight urllib3 errors says less than this one sentence.
            raise unanswered(self.cluster, self._hosts, what, error) from None
        return meta.status, cast("bytes", answer) or b""


@contextmanager
def open_search(
    settings: Settings, cluster: str, user: str, before_write: BeforeWrite | None = None
) -> Generator[SearchClient]:
    """*cluster* as the user kept for purpose *user*; connections close on leaving.

    *before_write* is called right before each request but GET and HEAD is sent, at every retry, from whatever thread:
    what it raises keeps the request from leaving, and comes to the caller as it is. (Searches are POSTs too.)

    What elasticsearch-py raises inside the block leaves it translated. BadInput names an unknown cluster or purpose.
    """
    described = settings.cluster(cluster)
    if user not in described.users:
        raise BadInput(
            f"cluster {cluster} has no user for {user!r}; known: {', '.join(sorted(described.users))}",
            hint=f"add [search.{cluster}.users.{user}] to the settings file",
        )
    login = described.users[user]
    password = read_secret(login.password, settings.vault)
    client = _connect(cluster, described, login.username, password, _node(before_write))
    try:
        yield client
    except (ApiError, TransportError) as error:
        raise translate(cluster, login.username, described.hosts, error) from None
    finally:
        client.elasticsearch.close()


class _TrustingNode(Urllib3HttpNode):
    """One node's connections, which trust the authorities of the context they are given and no others."""

    def __init__(self, config: NodeConfig) -> None:
        super().__init__(config)
        # Beside a context the transport names certifi's file, which each new connection would add to it.
        cast("HTTPSConnectionPool", self.pool).ca_certs = None


def _node(before_write: BeforeWrite | None) -> type[Urllib3HttpNode]:
    """One node's connections, which ask *before_write* as late as can be: below the transport's own retries."""
    if before_write is None:
        return _TrustingNode
    ask = in_context_of_opening(before_write)

    class AskingNode(_TrustingNode):
        def perform_request(self, method: str, *args: Any, **kwargs: Any) -> Any:
            if is_write(method):
                ask()
            return super().perform_request(method, *args, **kwargs)

    return AskingNode


def _connect(
    cluster: str, described: SearchCluster, username: str, password: str, node: type[Urllib3HttpNode]
) -> SearchClient:
    if any(urlsplit(host).scheme != "https" or urlsplit(host).username for host in described.hosts):
        # Not echoed: a URL with a user in it has a password in it.
        raise BadInput(
            f"a host of cluster {cluster} is no plain https URL",
            hint="hosts are https://NAME:PORT; users and passwords stand under [search.*.users]",
        )
    elasticsearch = Elasticsearch(
        described.hosts,
        basic_auth=(username, password),
        # One for all nodes: given a path, the transport loads the machine's own 150 authorities beside it, for each node
        # anew, which is 60 ms of CPU for a cluster of three and trusts whom nobody named.
        ssl_context=_trust(cluster, described.ca_file),
        serializers={RAW_JSON: _Undecoded(), VENDOR_JSON: JsonSerializer()},
        request_timeout=REQUEST_TIMEOUT_SECONDS,
        node_class=node,
    )
    login = "Basic " + b64encode(f"{username}:{password}".encode()).decode()
    return SearchClient(cluster, username, described.hosts, elasticsearch, login)


def _trust(cluster: str, ca_file: Path | None) -> ssl.SSLContext:
    """The only authorities to trust; BadInput where the file holds none."""
    path = ca_file or ssl.get_default_verify_paths().cafile or certifi.where()
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        # A missing file and one without a certificate are both OSErrors here (ssl.SSLError is one).
        raise BadInput(
            f"ca_file of cluster {cluster} is not usable: {path}: {error.strerror or error}",
            hint="let it name the PEM file of the CA that issued the nodes' certificates",
        ) from None
