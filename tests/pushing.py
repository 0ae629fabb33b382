"""A small `flagd.sync.v1` server over TLS, for what an application does with flags whoever serves them."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from concurrent import futures
from contextlib import contextmanager
from pathlib import Path

import grpc
from openfeature.schemas.protobuf.flagd.sync.v1 import sync_pb2, sync_pb2_grpc

from replica import certificates
from steward.flags.application import FlagServer
from steward.flags.documents import document
from steward.flags.model import Flag, Split


class Pushing(sync_pb2_grpc.FlagSyncServiceServicer):
    """Sends what it is given to everybody who listens."""

    def __init__(self) -> None:
        self._changed, self._version, self._document = threading.Condition(), 0, "{}"

    def push(self, *flags):
        self.push_text(json.dumps(document(flags)))

    def push_text(self, text):
        with self._changed:
            self._document, self._version = text, self._version + 1
            self._changed.notify_all()

    def SyncFlags(self, request, context):  # noqa: ARG002, N802  the service's own names
        seen = 0
        while context.is_active():
            with self._changed:
                self._changed.wait_for(lambda: self._version != seen, timeout=0.2)  # noqa: B023  used at once
                if self._version == seen:
                    continue
                seen, text = self._version, self._document
            yield sync_pb2.SyncFlagsResponse(flag_configuration=text)


@contextmanager
def pushing(folder: Path, port: int = 0) -> Generator[tuple[Pushing, FlagServer]]:
    """Such a server, and where it is, with a certificate of an authority of its own in *folder*."""
    authority = certificates.authority(folder)
    certificate, key = certificates.issue(folder, "flags")
    credentials = grpc.ssl_server_credentials([(key.read_bytes(), certificate.read_bytes())])
    served, server = Pushing(), grpc.server(futures.ThreadPoolExecutor(8))
    sync_pb2_grpc.add_FlagSyncServiceServicer_to_server(served, server)
    chosen = server.add_secure_port(f"127.0.0.1:{port}", credentials)
    server.start()
    try:
        yield served, FlagServer(f"127.0.0.1:{chosen}", ca_file=authority)
    finally:
        server.stop(0).wait()


def searching(percent: float, *, step: int = 1, rollout: str = "r-1", **metadata: object) -> Flag:
    """The shop's flag with so many of its users exposed."""
    return Flag(
        key="new-search",
        variants={"on": True, "off": False},
        off="off",
        split=Split.percentage("on", percent, "off"),
        metadata={"rollout": rollout, "step": step, **metadata},
    )
