"""Rotations as tests run them: the whole flow on real servers, hurried, with Prefect around it or without."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from prefect import Task

import flows.monthly_key_rotation as flow_module
from flows.monthly_key_rotation import monthly_key_rotation
from replica import inventory
from steward.clients import tenantkeys
from steward.clients.keyvault_versions import open_versions
from steward.keys.report import RotationNotVerified, RotationReport
from steward.keys.request import RotationRequest
from steward.operations import claims
from steward.operations.claims import Identity, Terms
from steward.operations.holding import holding
from steward.operations.ledger import Ledger
from steward.settings import load
from tasks import golden_rows, key_rotation, key_sweeps
from tasks.keys_at_hand import keys_at_hand
from tests.flows.prefect_server import recording_in
from tests.rotation_ground import Ground, copied, laid


def rotate(**asked: Any) -> RotationReport:
    """The report of a rotation: all that the flow does, on the ledger, and without Prefect around it."""
    request, book = RotationRequest(**asked), Ledger(load())
    identity = Identity("monthly-key-rotation", request.subject, uuid4().hex, resource="keyring")
    held = claims.claim(book, identity, terms=Terms(wait_seconds=0))
    try:
        with holding(book, held), keys_at_hand():
            report = flow_module.rotate(request, flow_module.check_preconditions(request))
    except BaseException as error:
        claims.fail(book, held, str(error))
        raise
    claims.conclude(book, held, report.verdict, None, None)
    book.close()
    return report


def rotate_by_flow(**asked: Any) -> RotationReport:
    """The report of a run of the flow, whatever its verdict."""
    try:
        return monthly_key_rotation(RotationRequest(**asked))
    except RotationNotVerified as refuted:
        return refuted.report


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Nothing is waited for that a test does not want to wait for."""
    # No probe: a process of its own, and two seconds of listening to it.
    patch.setattr(key_sweeps, "probing", lambda *_: nullcontext())
    patch.setattr(key_sweeps, "_QUIET_SECONDS", 0.0)
    patch.setattr(key_sweeps, "_POLL_SECONDS", 0.02)
    patch.setattr(key_rotation, "_POLL_SECONDS", 0.05)
    patch.setattr(golden_rows, "_WRITE_SECONDS", 0.05)
    patch.setattr(tenantkeys, "FOLLOW_SECONDS", 0.05)
    for step in _steps().values():
        patch.setattr(step, "retries", 0)


def without_prefect(patch: pytest.MonkeyPatch) -> None:
    """Steps are called as the functions that they wrap; the ledger still records each. What is shown to people is not."""
    for name, step in _steps().items():
        patch.setattr(flow_module, name, step.fn)
    for module in (flow_module, golden_rows, key_sweeps):
        patch.setattr(module, "get_run_logger", lambda: logging.getLogger("rotation"))
    patch.setattr(key_sweeps, "create_progress_artifact", lambda *_, **__: uuid4())
    patch.setattr(key_sweeps, "update_progress_artifact", lambda *_: None)


def _steps() -> dict[str, Task[..., Any]]:
    return {name: each for name, each in vars(flow_module).items() if isinstance(each, Task)}


@pytest.fixture(scope="session")
def rotation_template(replica, tmp_path_factory):
    file = tmp_path_factory.mktemp("rotation") / "settings.toml"
    with laid(load(inventory.settings_file(replica)), file) as template:
        yield template


@pytest.fixture
def customers(rotation_template, tmp_path, monkeypatch):
    """Tenants with rows, of this test alone. Its rotations name tenants: the vault's key is every test's."""
    with copied(rotation_template, tmp_path / "settings.toml") as copy:
        monkeypatch.setenv("STEWARD_SETTINGS", str(copy.file))
        hurry(monkeypatch)
        without_prefect(monkeypatch)
        yield copy


@pytest.fixture
def all_customers(rotation_template, tmp_path, monkeypatch):
    """The same, for rotations of all: versions of the vault's key that they disable are enabled again."""
    with copied(rotation_template, tmp_path / "settings.toml") as copy, _enabled_again(copy):
        monkeypatch.setenv("STEWARD_SETTINGS", str(copy.file))
        hurry(monkeypatch)
        without_prefect(monkeypatch)
        yield copy


@pytest.fixture
def flow_customers(in_replica, settings, tmp_path, monkeypatch):
    """Tenants of this test's own, with a vault's key of their own, for the flow as a worker runs it."""
    with laid(settings, tmp_path / "settings.toml", tenants=3, rows=15) as own, recording_in(in_replica):
        monkeypatch.setenv("STEWARD_SETTINGS", str(own.file))
        hurry(monkeypatch)
        yield own


@pytest.fixture
def new_customers(settings, tmp_path, monkeypatch):
    """The same, without Prefect."""
    with laid(settings, tmp_path / "settings.toml", tenants=3, rows=15) as own:
        monkeypatch.setenv("STEWARD_SETTINGS", str(own.file))
        hurry(monkeypatch)
        without_prefect(monkeypatch)
        yield own


@contextmanager
def _enabled_again(copy: Ground) -> Generator[None]:
    try:
        yield
    finally:
        with open_versions(copy.settings.vault) as vault:
            for version in vault.versions(copy.settings.keyring.kek):
                if not version.enabled:
                    vault.enable_version(version.kid)


def in_month(monkeypatch: pytest.MonkeyPatch, month: int) -> None:
    """As if runs from now on had been scheduled for the first of that month."""

    class Scheduled:
        @staticmethod
        def get_scheduled_start_time() -> datetime:
            return datetime(2030, month, 1, 2, tzinfo=UTC)

    monkeypatch.setattr(flow_module, "flow_run", Scheduled)
