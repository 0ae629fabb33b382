"""A client of the flags, rightly set: pushed to over TLS, back within half a second, and never without its last state.

The provider's own defaults cost 5 to 12 s after a restart of the server, and ten minutes where a connection that is being
made hangs. What it does not offer is set here.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.contrib.provider.flagd import FlagdProvider
from openfeature.contrib.provider.flagd.config import ResolverType
from openfeature.contrib.provider.flagd.resolvers.in_process import InProcessResolver
from openfeature.contrib.provider.flagd.resolvers.process.connector.grpc_watcher import GrpcWatcher
from openfeature.event import ProviderEventDetails
from openfeature.exception import OpenFeatureError
from openfeature.hook import Hook
from openfeature.provider.no_op_provider import NoOpProvider

_RETRY_MILLISECONDS, _MOST_RETRY_MILLISECONDS = 100, 250
#: The provider also waits as long for a connection that is being made: a server frozen then would be waited for.
_STREAM_MILLISECONDS = 60_000
#: A peer that vanished without a word is missed after this and gRPC's own 20 s; the server must allow such pings.
_KEEP_ALIVE_MILLISECONDS = 10_000

_log = logging.getLogger("steward.flags")


class Served(Protocol):
    """Where `flagd.sync.v1` is served: `FlagServer`, or the table `[flags]` of Steward's settings."""

    @property
    def sync(self) -> str:
        """HOST:PORT, which speaks TLS."""
        ...

    @property
    def authority(self) -> str | None:
        """The name in its certificate, where that is not the host."""
        ...

    @property
    def ca_file(self) -> Path | None:
        """PEM. No other authority is trusted then; None: the system's."""
        ...


@dataclass(frozen=True, slots=True)
class FlagServer:
    """For applications with settings of their own."""

    sync: str
    authority: str | None = None
    ca_file: Path | None = None


class PushedFlags(FlagdProvider):
    """flagd's provider, which remembers whether it ever had flags, and lets its process end at once."""

    has_flags = False

    def emit_provider_ready_with_context(self, details: ProviderEventDetails, context: dict[str, object]) -> None:
        """Called with the first document of each connection."""
        self.has_flags = True
        super().emit_provider_ready_with_context(details, context)

    def shutdown(self) -> None:
        """Its timer for telling of an error would keep the process for five more seconds."""
        super().shutdown()
        if isinstance(self.resolver, InProcessResolver) and isinstance(self.resolver.connector, GrpcWatcher):
            timer = self.resolver.connector.timer
            if timer is not None:
                timer.cancel()


def connect(
    server: Served, hooks: Sequence[Hook] = (), *, domain: str = "steward", wait_seconds: float = 5
) -> OpenFeatureClient:
    """A client of OpenFeature's *domain*; waits up to *wait_seconds* for flags, and goes on without.

    Without, every evaluation gives its caller's default, until flags come: `is_ready` tells. Once they came, the last ones
    are kept whatever becomes of the server; what must not outlive it carries a lease. Blocks: not for an event loop.
    """
    host, _, port = server.sync.rpartition(":")
    provider = PushedFlags(
        resolver_type=ResolverType.IN_PROCESS,
        host=host,
        port=int(port),
        tls=True,
        cert_path=str(server.ca_file) if server.ca_file else None,
        default_authority=server.authority,
        deadline_ms=int(wait_seconds * 1000),
        retry_backoff_ms=_RETRY_MILLISECONDS,
        retry_backoff_max_ms=_MOST_RETRY_MILLISECONDS,
        stream_deadline_ms=_STREAM_MILLISECONDS,
        keep_alive_time=_KEEP_ALIVE_MILLISECONDS,
        # Asked without a limit of time, it would hang with a frozen server; what it tells comes with the flags as well.
        sync_metadata_disabled=True,
    )
    try:
        api.set_provider_and_wait(provider, domain)
    except OpenFeatureError as error:
        _log.warning("no flags from %s yet: %s", server.sync, error.error_message)
    client = api.get_client(domain)
    client.add_hooks(list(hooks))
    return client


def is_ready(client: OpenFeatureClient) -> bool:
    """Whether *client* ever had flags. A server that is away later takes nothing back."""
    return isinstance(client.provider, PushedFlags) and client.provider.has_flags


def disconnect(client: OpenFeatureClient) -> None:
    """End its connection and threads. The client gives its callers' defaults from then on."""
    provider = client.provider
    api.set_provider(NoOpProvider(), client.domain)
    provider.shutdown()
