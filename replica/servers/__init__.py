"""The servers of the replica, in the order in which `status` lists them. Adding one is one file here and one line below."""

from __future__ import annotations

from replica.server import Server
from replica.servers.postgres import Postgres
from replica.servers.prefect import PrefectServer
from replica.servers.s3 import S3
from replica.servers.worker import Worker

SERVERS: list[Server] = [Postgres(), S3(), PrefectServer(), Worker()]
