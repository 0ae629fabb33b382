"""What a node of Redis reads: `deployments/redis`, filled in for this replica."""

from __future__ import annotations

import hashlib
from importlib import resources
from pathlib import Path
from string import Template

from replica.server import Place
from replica.servers import redis_nodes
from replica.servers.redis_program import RedisProgram

#: Users that settings tell of, by purpose. `admin` may do all and belongs to nobody; `peer` is how replicas log in.
USERS = ("limiter", "gateway", "operator", "watch")
_ALL_USERS = (*USERS, "admin", "peer")
# The limits of hundreds of models and tenants take a few megabytes.
_MEMORY = "128mb"
# Silence of a master before its replica takes over, and its limits pause for their whole window.
NODE_TIMEOUT_MILLISECONDS = 5000


def path(place: Place, node: str) -> Path:
    """The file that the server is started with."""
    return place.folder(node) / "redis.conf"


def data(place: Place, node: str, program: RedisProgram) -> Path:
    """AOF, RDB and the cluster's state as the node knows it."""
    return place.folder(node) / program.data


def secret(user: str) -> str:
    """The name of the secret that is *user*'s password."""
    return f"redis.{user}"


def write(place: Place, node: str, program: RedisProgram) -> None:
    """All that *node* reads. 0600, for it holds the password by which replicas log in."""
    folder = place.folder(node)
    folder.mkdir(mode=0o700, exist_ok=True)
    data(place, node, program).mkdir(mode=0o700, exist_ok=True)
    tls = folder / "tls.conf"
    if program.tls:
        certificate, key = place.certificate(node)
        _fill(tls, tls_port=place.port(node, "redis"), certificate=certificate, key=key, authority=place.ca_file)
    _fill(folder / "users.acl", **{user: _hashed(place.secret(secret(user))) for user in _ALL_USERS})
    _fill(
        path(place, node),
        plain_port=0 if program.tls else place.port(node, "redis"),
        include_tls=f"include {tls}" if program.tls else "# no TLS",
        address="127.0.0.1",
        bus_port=place.port(node, "bus"),
        folder=folder,
        peer_password=place.secret(secret("peer")),
        memory=_MEMORY,
        node_timeout=NODE_TIMEOUT_MILLISECONDS,
    )
    redis_nodes.write(place, node, data(place, node, program) / "nodes.conf")


def digest(place: Place, node: str) -> str:
    """What `write` wrote, in short."""
    read = (place.folder(node) / name for name in ("redis.conf", "tls.conf", "users.acl"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in read if path.exists())).hexdigest()


def _fill(target: Path, **values: object) -> None:
    template = Template((resources.files("deployments") / "redis" / target.name).read_text())
    target.touch(mode=0o600)
    target.write_text(template.substitute(values))


def _hashed(password: str) -> str:
    """As users.acl holds passwords, which are 24 random bytes: nothing to be gained by a slow hash."""
    return hashlib.sha256(password.encode()).hexdigest()
