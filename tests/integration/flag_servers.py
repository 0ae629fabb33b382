"""Flag servers of a test's own, and the streams of SDKs that hang on them."""

from __future__ import annotations

import http.client
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import tomli_w
from openfeature.schemas.protobuf.flagd.sync.v1 import sync_pb2 as messages
from openfeature.schemas.protobuf.flagd.sync.v1 import sync_pb2_grpc as stubs

from steward.settings import Settings
from tests.integration.closed_doors import closed_port
from tests.integration.fresh_database import changed

#: No promise: what takes longer will not come any more.
PATIENCE_SECONDS = 30


class FlagProcess:
    """`python -m services.flags serve`, on two ports that it keeps over its restarts."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.sync, self.http = closed_port(), closed_port()
        address = f"127.0.0.1:{self.sync}"
        self.settings = changed(settings, "flags", sync=address, url=f"http://127.0.0.1:{self.http}")
        self._file = folder / f"settings-{self.sync}.toml"
        self._file.write_text(tomli_w.dumps(self.settings.model_dump(mode="json", exclude_none=True)))
        self._process: subprocess.Popen[str] | None = None

    def start(self, *, until_healthy: bool = True) -> None:
        command = [sys.executable, "-m", "services.flags", "serve"]
        command += ["--sync-port", str(self.sync), "--port", str(self.http)]
        environment = {**os.environ, "STEWARD_SETTINGS": str(self._file)}
        self._process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        if until_healthy:
            self.wait_for(lambda status, _: status == 200)

    def end(self, number: int = signal.SIGKILL) -> int:
        process, self._process = self._process, None
        process.send_signal(number)
        process.communicate(timeout=PATIENCE_SECONDS)
        return process.returncode

    def close(self) -> None:
        if self._process:
            self.end()

    def wait_for(self, is_so) -> list[str]:
        """Until /healthz is as *is_so*(status, text) wants it; its lines."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            assert self._process.poll() is None, self._process.stderr.read()
            try:
                status, told = ask(self, "GET", "/healthz")
            except OSError:
                status, told = 0, ""
            if is_so(status, told):
                return told.splitlines()
            time.sleep(0.02)
        raise AssertionError(f"/healthz stays {status}: {told}")


@contextmanager
def flag_server(settings: Settings, folder: Path) -> Generator[FlagProcess]:
    """One that serves."""
    process = FlagProcess(settings, folder)
    try:
        process.start()
        yield process
    finally:
        process.close()


def ask(server: FlagProcess, method: str, path: str, body: Any = None, *, token: str = "") -> tuple[int, Any]:
    """(status, JSON or text)."""
    status, _, content = answer_of(server, method, path, body, token=token)
    return status, content


def answer_of(
    server: FlagProcess, method: str, path: str, body: Any = None, *, token: str = ""
) -> tuple[int, dict[str, str], Any]:
    """(status, headers, JSON or text)."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http, timeout=PATIENCE_SECONDS)
    try:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        raw = body if isinstance(body, str | bytes | None) else json.dumps(body)
        connection.request(method, path, raw, headers)
        answer = connection.getresponse()
        headers, text = {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()
    finally:
        connection.close()
    return answer.status, headers, json.loads(text) if "json" in headers.get("content-type", "") else text


class Stream:
    """One SDK's stream of documents, over TLS."""

    def __init__(self, server: FlagProcess, **options: int) -> None:
        self.channel = channel_to(server, **options)
        self.documents: queue.Queue[dict[str, Any]] = queue.Queue()
        self.call = stubs.FlagSyncServiceStub(self.channel).SyncFlags(
            messages.SyncFlagsRequest(), wait_for_ready=True, timeout=120
        )

    def read(self) -> Stream:
        """From a thread of its own; one that does not read is slow without end."""
        threading.Thread(target=self._read, daemon=True).start()
        return self

    def until(self, is_so) -> list[dict[str, Any]]:
        """Every document up to the first of which *is_so* is true."""
        got = []
        while not got or not is_so(got[-1]):
            got.append(self.documents.get(timeout=PATIENCE_SECONDS))
        return got

    def close(self) -> None:
        self.call.cancel()
        self.channel.close()

    def _read(self) -> None:
        try:
            for answer in self.call:
                self.documents.put(json.loads(answer.flag_configuration))
        except grpc.RpcError:
            return


def channel_to(server: FlagProcess, **options: int) -> grpc.Channel:
    """Of its own: streams of one process would share a connection otherwise. *options* are of `grpc.http2`."""
    flags = server.settings.flags
    return grpc.secure_channel(
        flags.sync,
        grpc.ssl_channel_credentials(flags.ca_file.read_bytes()),
        options=[
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_reconnect_backoff_ms", 250),
            *((f"grpc.http2.{name}", value) for name, value in options.items()),
        ],
    )


@contextmanager
def stream(server: FlagProcess) -> Generator[Stream]:
    """One that reads."""
    opened = Stream(server).read()
    try:
        yield opened
    finally:
        opened.close()


def revision_of(document: dict[str, Any]) -> int:
    return document["metadata"]["revision"]
