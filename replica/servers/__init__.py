"""The servers of the replica, in the order in which `status` lists them. Adding one is one file here and one line below."""

from __future__ import annotations

from replica.server import Server

SERVERS: list[Server] = []
