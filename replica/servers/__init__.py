"""The servers of the replica, each after what it needs. Adding one is one file here and one line below."""

from __future__ import annotations

from replica.server import Server
from replica.servers.dispatcher import Dispatcher
from replica.servers.elasticsearch import ELASTICSEARCH
from replica.servers.flags import Flags
from replica.servers.gateway import Gateway
from replica.servers.github import GitHub
from replica.servers.haproxy import HAProxy
from replica.servers.keyvault import KeyVault
from replica.servers.postgres import Postgres
from replica.servers.prefect import PrefectServer
from replica.servers.prometheus import Prometheus
from replica.servers.providers import Providers
from replica.servers.proxies import Proxies
from replica.servers.redis import REDIS
from replica.servers.s3 import S3
from replica.servers.shop import Shop
from replica.servers.watch import Watch
from replica.servers.webhooks import Webhooks
from replica.servers.worker import Worker

_REAL: list[Server] = [
    Postgres(),
    *REDIS,
    *ELASTICSEARCH,
    S3(),
    KeyVault(),
    Providers(),
    Gateway(),
    PrefectServer(),
    Worker(),
    Watch(),
    Flags(),
    Shop(),
    Webhooks(),
    Dispatcher(),
    GitHub(),
    HAProxy(),
    Prometheus(),
]

SERVERS: list[Server] = [Proxies(_REAL), *_REAL]
