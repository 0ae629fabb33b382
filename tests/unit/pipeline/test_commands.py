"""A command of somebody else's: what it is told, how long it may take, and that nothing of it is left."""

import os
import secrets
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from steward.clients import commands
from steward.clients.commands import MOST_BYTES, clean_environment, run_command


@pytest.fixture
def run(tmp_path):
    def ran(*command, seconds=30, more=None, struck=()):
        environment = clean_environment(tmp_path / "home", more)
        return run_command(command, tmp_path, seconds=seconds, environment=environment, struck=struck)

    return ran


def marked(tag):
    """Processes with *tag* in their command."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        words = process.info["cmdline"] or []
        if any(tag in word for word in words) and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process)
    return found


def test_its_exit_code_and_both_its_streams_are_told(run):
    ran = run("sh", "-c", "echo out; echo err >&2; exit 3")
    assert (ran.end, ran.code, ran.output, ran.is_green) == ("exited", 3, "out\nerr\n", False)
    assert ran.how.startswith("sh ended with 3 after")
    assert run("true").is_green


def test_a_program_that_is_not_there_is_missing_and_not_red(run):
    assert (run("no-such-program").end, run("./no-such-file").end) == ("missing", "missing")


def test_a_program_of_the_folder_is_found_by_its_path(run, tmp_path):
    (tmp_path / "mine").write_text("#!/bin/sh\necho mine\n")
    (tmp_path / "mine").chmod(0o700)
    assert run("./mine").output == "mine\n"


def test_the_signal_that_ended_it_is_told(run):
    ran = run("sh", "-c", "kill -9 $$")
    assert (ran.end, ran.code, ran.is_green) == ("signalled", signal.SIGKILL, False)


def test_it_is_told_nothing_of_the_workers_environment(run, monkeypatch):
    monkeypatch.setenv("STEWARD_SETTINGS", "/somewhere")
    monkeypatch.setenv("PREFECT_API_AUTH_STRING", "user:word")
    told = run("env", more={"COMMIT": "abc"}).output
    assert "COMMIT=abc\n" in told
    assert "STEWARD" not in told
    assert "PREFECT" not in told
    assert f"HOME={Path.home()}\n" not in told


def test_it_reads_nothing_and_dumps_no_core(run):
    assert run("sh", "-c", "cat; ulimit -c").output == "0\n"


def test_its_processes_and_its_largest_file_are_limited(run):
    limits = "import resource as r; print(r.getrlimit(r.RLIMIT_NPROC)[0], r.getrlimit(r.RLIMIT_FSIZE)[0], r.getrlimit(r.RLIMIT_CPU)[0])"
    processes, largest, cpu = map(int, run(sys.executable, "-c", limits, seconds=5).output.split())
    assert 0 < processes <= 4096
    assert largest == 4 * 1024**3
    assert 0 < cpu <= 5 * os.cpu_count() + 10


def test_not_done_in_its_time_it_is_gone_with_all_that_it_started(run):
    tag = f"sleeping-{secrets.token_hex(8)}"
    script = f"import time; time.sleep(600) # {tag}"
    shell = f"setsid {sys.executable} -c '{script}' & (setsid {sys.executable} -c '{script}' &) ; {sys.executable} -c '{script}'"
    ran = run("sh", "-c", shell, seconds=1)
    assert (ran.end, ran.code) == ("timed_out", None)
    assert "was not done in 1 s and was ended" in ran.how
    assert marked(tag) == []


def test_what_it_leaves_in_the_background_is_gone_when_it_is_done(run):
    tag = f"sleeping-{secrets.token_hex(8)}"
    ran = run("sh", "-c", f"setsid {sys.executable} -c 'import time; time.sleep(600) # {tag}' & echo done")
    assert (ran.is_green, ran.output) == (True, "done\n")
    assert marked(tag) == []


def test_where_the_system_tells_of_no_children_its_group_is_ended(run, monkeypatch, tmp_path):
    guard = tmp_path / "guard.py"
    guard.write_text(commands._GUARD.read_text().replace("/proc/thread-self/children", "/proc/no-such-file"))
    monkeypatch.setattr(commands, "_GUARD", guard)
    tag = f"sleeping-{secrets.token_hex(8)}"
    script = f"import time; time.sleep(600) # {tag}"
    assert (
        run("sh", "-c", f"{sys.executable} -c '{script}' & {sys.executable} -c '{script}'", seconds=1).end
        == "timed_out"
    )
    eventually(lambda: marked(tag) == [])


def test_killed_itself_whoever_asked_for_it_leaves_nothing_of_it_behind(tmp_path):
    tag = f"sleeping-{secrets.token_hex(8)}"
    asker = textwrap.dedent(f"""
        from pathlib import Path
        from steward.clients.commands import clean_environment, run_command
        home = Path({str(tmp_path)!r})
        script = "import time; print(1, flush=True); time.sleep(600) # {tag}"
        words = ["sh", "-c", "setsid {sys.executable} -c '" + script + "' & wait"]
        run_command(words, home, seconds=600, environment=clean_environment(home), struck=[])
    """)
    process = subprocess.Popen([sys.executable, "-c", asker])
    try:
        eventually(lambda: len(marked(f"# {tag}")) >= 2)
    finally:
        process.kill()
        process.wait()
    eventually(lambda: marked(tag) == [])


def eventually(condition):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_secrets_are_struck_out_of_what_it_says_the_longest_first(run):
    ran = run("sh", "-c", "echo a=abcdef b=abcdefgh c=abc", struck=["abcdef", "abcdefgh", "abc", ""])
    assert ran.output == "a=*** b=*** c=abc\n"


def test_of_an_output_without_end_the_last_is_kept_and_no_half_of_a_secret(run):
    ran = run("sh", "-c", "yes a-secret-word | head -c 3000000; echo; echo end", struck=["a-secret-word"])
    assert len(ran.output) <= MOST_BYTES
    assert ran.output.startswith("***\n")
    assert "secret" not in ran.output.removesuffix("end\n").rstrip().rpartition("\n")[0]
    assert ran.output.endswith("end\n")
    assert len(ran.tail) <= 4000
