"""Leaks of every kind, by the ways on which they would come: each place gets a key of its own, in a form of its own."""

from __future__ import annotations

import base64
import gzip
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import NamedTuple
from uuid import uuid4

from prefect import flow, task
from prefect.artifacts import create_markdown_artifact
from prefect.events import emit_event
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_LOCAL_STORAGE_PATH, temporary_settings

from demo.customers.ground import opened
from steward.clients.s3 import _client
from tests.integration.exposure.needles import Secret
from tests.integration.exposure.scanning import Leak
from tests.integration.exposure.sentinel_run import SentinelRun
from tests.integration.fresh_keyring import connect
from tests.keyring_ground import query


class Leaked(NamedTuple):
    """What is to be found of one."""

    secret: Secret
    where: str
    """In which place, its name's beginning."""
    form: str

    def is_told_by(self, leak: Leak) -> bool:
        """It names the secret, where it is and as what."""
        named = (leak.kind, leak.name, leak.form) == (self.secret.kind, self.secret.name, self.form)
        return named and leak.where.startswith(self.where)


class Leaks:
    """Keys that nobody uses, by the way on which they leak."""

    def __init__(self) -> None:
        self._keys: dict[str, bytes] = {}
        self.all: list[Leaked] = []

    def key(self, way: str, where: str, form: str) -> bytes:
        """A new one, which will be found there."""
        self._keys[way] = os.urandom(32)
        self.all.append(Leaked(Secret("master key", way, self._keys[way]), where, form))
        return self._keys[way]


@contextmanager
def planted(run: SentinelRun) -> Generator[list[Leaked]]:
    """Plant all; what outlives the test's own databases is removed afterwards."""
    leaks = Leaks()
    _in_prefect(run, leaks)
    _in_databases(run, leaks)
    with _in_files(run, leaks), _in_buckets(run, leaks):
        yield leaks.all


def _in_prefect(run: SentinelRun, leaks: Leaks) -> None:
    """What a flow's author could do wrong."""
    parameter = leaks.key("parameter", "database prefect, table public.flow_run", "hex").hex()
    logged = base64.b64encode(leaks.key("log line", "database prefect, table public.log", "base64")).decode()
    shown = str(list(leaks.key("artifact", "database prefect, table public.artifact", "list of numbers")))
    sent = leaks.key("event", "database prefect, table public.events", "HEX").hex().upper()
    raised = repr(bytearray(leaks.key("exception", "database prefect, table public.flow_run_state", "repr")))
    stored = leaks.key("result", "output, file results/", "raw in base64 run")

    @task(persist_result=True, task_run_name="give")
    def give() -> dict[str, bytes]:
        return {"key": stored}

    @flow(name="leaks-on-purpose", flow_run_name="leaks on purpose")
    def leak(key: str) -> None:
        get_run_logger().info("the key is %s", logged)
        create_markdown_artifact(f"The key: {shown}", key="leak-on-purpose")
        emit_event("steward.test.leaked", resource={"prefect.resource.id": "steward.test"}, payload={"key": sent})
        give()
        raise ValueError(f"not a key: {raised}")

    with temporary_settings({PREFECT_LOCAL_STORAGE_PATH: run.folder / "output" / "results"}):
        assert leak(parameter, return_state=True).is_failed()


def _in_databases(run: SentinelRun, leaks: Leaks) -> None:
    subject = base64.b64encode(leaks.key("our table", "database steward, table steward.operations", "base64")).decode()
    query(
        run.settings,
        "INSERT INTO steward.operations (name, subject, period, resource, lease, max_attempts) "
        "VALUES ('leak', %s, 'once', 'leak', '15 s', 5)",
        subject,
    )
    host = leaks.key("keyring", "database keyring, table keyring.readers", "hex with colons").hex(":")
    with connect(run.settings.keyring) as keyring:
        keyring.execute("SELECT keyring.acknowledge(%s, %s, %s, %s)", (uuid4(), host, 1, 1))
    note = leaks.key("unencrypted column", "database customers, table public.customers", "raw")
    brief = leaks.key("row that was deleted", "write-ahead log", "hex").hex()
    with opened(run.settings) as engine, engine.begin() as connection:
        written = "INSERT INTO customers (id, tenant_id, plan, email, notes) VALUES (%s, 'kept', 'free', %s, %s)"
        connection.exec_driver_sql(written, (uuid4(), b"", note))
        connection.exec_driver_sql("INSERT INTO members VALUES (%s, 'nobody', 'reader')", (brief,))
        connection.exec_driver_sql("DELETE FROM members WHERE user_id = 'nobody'")


@contextmanager
def _in_files(run: SentinelRun, leaks: Leaks) -> Generator[None]:
    log = run.place.state / "logs" / "leak.log"
    dumped = leaks.key("file of the replica", "replica, file logs/leak.log", "repr")
    printed = leaks.key("output of a process", "output, file printed", "raw in gzip")
    log.write_text(f"Traceback: key={dumped!r}\n")
    (run.folder / "output" / "printed").write_bytes(gzip.compress(printed))
    try:
        yield
    finally:
        log.unlink()


@contextmanager
def _in_buckets(run: SentinelRun, leaks: Leaks) -> Generator[None]:
    objects = run.settings.objects
    made: list[tuple[str, str]] = []
    client = _client(objects, run.settings.vault)

    def put(way: str, bucket: str, form: str, written: Callable[[bytes], bytes]) -> None:
        content = written(leaks.key(way, f"bucket {bucket}, object leak", form))
        made.append((bucket, client.put_object(Bucket=bucket, Key="leak", Body=content)["VersionId"]))

    try:
        put("evidence", objects.evidence_bucket, "hex", lambda key: key.hex().encode())
        put("backup", objects.backup_bucket, "hex in gzip", lambda key: b"{}\n" + gzip.compress(key.hex().encode()))
        yield
    finally:
        for bucket, version in made:
            client.delete_object(Bucket=bucket, Key="leak", VersionId=version)
        client.close()
