import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import TaskRun
from prefect.states import Completed, Failed

from demo.acts import closing, verdict_in
from demo.commands import CommandFailed, Shell
from demo.oplog import Entry, OperationLog
from demo.runs import describe
from demo.snapshot import acknowledged
from demo.stage import Stage
from steward.settings import Settings
from steward.verdicts import Verdict

CERTIFICATE = "# Restore certificate: nightly-2026-11-24-1\n\nverdict: VERIFIED\n\n" + "\n".join(["| a | b |"] * 31)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    environment = {"PREFECT_API_URL": "http://127.0.0.1:4200/api", "PREFECT_API_AUTH_STRING": "steward:hunter2"}
    return Shell(tmp_path, environment, tmp_path)


@pytest.fixture
def stage(shell: Shell) -> Stage:
    return Stage(shell, Settings.model_construct(), Path("/replica/environment"))


def test_lines_come_as_they_are_printed_and_the_program_ends_with_its_reader(shell: Shell) -> None:
    lines = shell.lines("talk", sys.executable, "-uc", "print('one'); import time; time.sleep(60)")
    started = time.monotonic()
    assert next(lines) == "one"
    lines.close()
    assert time.monotonic() - started < 30
    assert shell.log("talk").read_text() == "one\n"


def test_a_failed_program_is_told_with_its_last_words_and_where_the_rest_is(shell: Shell) -> None:
    code = "import sys; print('out'); print('the disk is full', file=sys.stderr); sys.exit(3)"
    with pytest.raises(CommandFailed) as failed:
        shell.run("fail", sys.executable, "-c", code)
    assert "ended with status 3" in str(failed.value)
    assert "the disk is full" in str(failed.value)
    assert str(shell.log("fail")) in failed.value.hint


def test_a_detached_program_has_a_session_of_its_own(shell: Shell) -> None:
    code = "import os, time; print(os.getsid(0) == os.getpid(), flush=True); time.sleep(60)"
    process = shell.detached("apart", sys.executable, "-c", code)
    try:
        end = time.monotonic() + 20
        while not shell.log("apart").read_text() and time.monotonic() < end:
            time.sleep(0.02)
        assert shell.log("apart").read_text() == "True\n"
    finally:
        process.kill()
        assert process.wait() == -signal.SIGKILL


def test_no_password_shows_when_a_stage_is_printed(stage: Stage) -> None:
    assert "hunter2" not in repr(stage)


def test_the_whole_certificate_stands_in_the_last_forty_lines(stage: Stage) -> None:
    last = ("progress\n" * 100 + closing(stage, CERTIFICATE)).splitlines()[-40:]
    assert "# Restore certificate: nightly-2026-11-24-1" in last
    assert "verdict: VERIFIED" in last


def test_the_closing_says_where_the_ui_is_and_how_to_log_in_without_the_password(stage: Stage) -> None:
    said = closing(stage, CERTIFICATE)
    assert "http://127.0.0.1:4200 " in said
    assert "/replica/environment" in said
    assert "make down" in said
    assert "hunter2" not in said


@pytest.mark.parametrize("verdict", Verdict)
def test_the_verdict_is_read_from_its_line(verdict: Verdict) -> None:
    assert verdict_in(f"# c\n\nverdict: {verdict}\n\nnot verdict: VERIFIED") is verdict


@pytest.mark.parametrize(
    "text", ["", "verdict: GREEN", "say verdict: VERIFIED", "verdict: VERIFIED\nverdict: REFUTED", "verdict:VERIFIED"]
)
def test_a_certificate_without_one_clear_verdict_is_unknown(text: str) -> None:
    assert verdict_in(text) is Verdict.UNKNOWN


def test_only_writes_confirmed_after_the_night_began_are_counted(tmp_path: Path) -> None:
    def entry(answered: float, outcome: str = "acknowledged") -> Entry:
        return Entry("tenant-acme", "index", "a", outcome, answered - 1, answered)

    with OperationLog(tmp_path / "log") as log:
        log.append([entry(9), entry(10), entry(11), entry(12, "unknown"), entry(13, "refused")])
    assert acknowledged(tmp_path / "log", since=10) == 2


@pytest.mark.parametrize(("state", "shown"), [(Completed(), "restore batch 1"), (Failed(), "restore batch 1  Failed")])
def test_a_step_is_shown_with_what_it_took_and_how_it_ended(state, shown) -> None:
    began = datetime(2026, 11, 24, 1, 30, tzinfo=UTC)
    step = TaskRun(
        task_key="restore",
        dynamic_key="0",
        flow_run_id=uuid4(),
        name="restore batch 1",
        state=state,
        start_time=began,
        end_time=began + timedelta(seconds=12.34),
        total_run_time=timedelta(seconds=12.34),
    )
    assert describe(step) == f"  12.3 s  {shown}"
