"""`flagd.sync.v1` over gRPC: one task a stream, and one serialized answer for all of them.

Pushing to 200 streams takes 17 ms of a core; gRPC's threads, one a stream, take 40. A stream gets the newest document when it has
taken the one before: one that is slow skips what came in between, and one that is stuck holds nothing but itself.
https://github.com/open-feature/flagd-schemas/blob/main/protobuf/flagd/sync/v1/sync.proto
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import grpc
from grpc import aio
from openfeature.schemas.protobuf.flagd.sync.v1 import sync_pb2 as messages

from services.flags.board import Board
from services.flags.metrics import Metrics
from services.flags.serving import Served
from steward.errors import BadInput

_SERVICE = "flagd.sync.v1.FlagSyncService"
#: More would share 2 cores too thinly to be told within 250 ms; further servers take further streams.
MOST_STREAMS = 2000
_OPTIONS = (
    # A second server on the port is a mistake to be told, not one to share connections with.
    ("grpc.so_reuseport", 0),
    # A peer that vanished without a word is let go after 15 s.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    # SDKs ask too, as often as their settings say: gRPC's own default would end their connections for it.
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 1_000),
    ("grpc.http2.max_ping_strikes", 0),
)


class SyncServer:
    """Not started before there is a document: an SDK then tries another server, or this one again, and keeps what it has."""

    def __init__(self, board: Board, metrics: Metrics) -> None:
        self._board, self._metrics = board, metrics
        self._answer: tuple[Served, bytes] | None = None
        self._server: aio.Server | None = None

    async def run(self, address: str, credentials: grpc.ServerCredentials) -> None:
        """For ever, once there is something to serve. Raises BadInput where it cannot listen."""
        await self._board.newer(None)
        server = self._server = aio.server(options=_OPTIONS)
        server.add_generic_rpc_handlers((self._handlers(),))
        try:
            server.add_secure_port(address, credentials)
        except RuntimeError:
            raise BadInput(f"cannot listen on {address}", hint="see who does, or name another port") from None
        await server.start()
        await server.wait_for_termination()

    async def stop(self) -> None:
        """Streams are cut at once: each SDK comes back by itself."""
        if self._server:
            await self._server.stop(None)

    async def sync_flags(self, _: Any, context: aio.ServicerContext[Any, bytes]) -> AsyncGenerator[bytes]:
        """The document, and each newer one."""
        if self._metrics.streams_open >= MOST_STREAMS:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{MOST_STREAMS} streams are open; use another server"
            )
        seen: Served | None = None
        with self._metrics.stream():
            while True:
                seen = await self._board.newer(seen)
                yield self._serialized(seen)
                self._metrics.pushed()

    async def fetch_all_flags(self, _: Any, context: aio.ServicerContext[Any, bytes]) -> bytes:
        """The document once."""
        del context
        served = await self._board.newer(None)
        return messages.FetchAllFlagsResponse(flag_configuration=served.configuration).SerializeToString()

    async def get_metadata(self, _: bytes, context: aio.ServicerContext[Any, bytes]) -> bytes:
        """Nothing, but said: Python's provider 0.5.2 never gets ready where neither this nor a stream's context is there."""
        del context
        answer = messages.GetMetadataResponse()  # pyright: ignore[reportDeprecated]  # SDKs still ask
        answer.metadata.SetInParent()
        return answer.SerializeToString()

    def _serialized(self, served: Served) -> bytes:
        if self._answer is None or self._answer[0] is not served:
            answer = messages.SyncFlagsResponse(flag_configuration=served.configuration)
            self._answer = (served, answer.SerializeToString())
        return self._answer[1]

    def _handlers(self) -> grpc.GenericRpcHandler:
        methods = {
            "SyncFlags": grpc.unary_stream_rpc_method_handler(
                self.sync_flags, messages.SyncFlagsRequest.FromString, _as_it_is
            ),
            "FetchAllFlags": grpc.unary_unary_rpc_method_handler(
                self.fetch_all_flags, messages.FetchAllFlagsRequest.FromString, _as_it_is
            ),
            "GetMetadata": grpc.unary_unary_rpc_method_handler(self.get_metadata),
        }
        return grpc.method_handlers_generic_handler(_SERVICE, methods)


def _as_it_is(answer: bytes) -> bytes:
    return answer
