"""The keeper of the replica's processes: `supervisord`, reached over a Unix socket in the state folder.

A server that ends by itself with an unexpected exit code is started again; one that `fault kill` brought down stays
down until `up`, for a drill decides itself when the repair comes.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import pwd
import shlex
import socket
import subprocess
import sys
import time
import xmlrpc.client
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, cast

from replica.errors import KeeperFailed, NotRunning
from replica.processes import TAG
from replica.server import Program

_ANSWER_SECONDS = 60
_START_SECONDS = 15
_LOOK_SECONDS = 0.05


#: What keeps Prefect's SDK from reporting its use; the server's own analytics have a setting of their own.
QUIET = {"DO_NOT_TRACK": "1"}


class ProcessState(IntEnum):
    """Supervisor's own states of a program."""

    STOPPED = 0
    STARTING = 10
    RUNNING = 20
    BACKOFF = 30
    STOPPING = 40
    EXITED = 100
    FATAL = 200
    UNKNOWN = 1000

    @property
    def is_up(self) -> bool:
        """Whether there is a process that is meant to stay."""
        return self in {ProcessState.STARTING, ProcessState.RUNNING}


@dataclass(frozen=True)
class Process:
    """What the supervisor knows of one program."""

    name: str
    state: ProcessState
    pid: int
    """0 where there is no process."""
    said: str
    """The supervisor's own words on why a start failed."""


class Keeper:
    """The supervisor of one state folder. Every method but `start` needs it to run; each call has its own connection."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.socket = state / "supervisor.sock"
        self._programs = state / "programs"

    def pid(self) -> int | None:
        """The supervisor's pid, or None where none answers (a socket left by a crash included)."""
        try:
            return cast("int", self._call("supervisor.getPID"))
        except NotRunning:
            return None

    def start(self) -> None:
        """Start the supervisor, detached: in a session of its own, with no stream of the caller's."""
        self._write_own_configuration()
        self.socket.unlink(missing_ok=True)
        command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(self.state / "supervisor.conf")]
        null = subprocess.DEVNULL
        environment = _environment(self.state)
        with (self.state / "logs" / "supervisor.out").open("wb") as words:
            started = subprocess.Popen(
                command, stdin=null, stdout=words, stderr=words, cwd="/", env=environment, start_new_session=True
            )
        self._await_answer(started)

    def _await_answer(self, started: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while self.pid() is None:
            if started.poll() is not None or time.monotonic() > deadline:
                words = (self.state / "logs" / "supervisor.out").read_text(errors="replace").strip()
                raise KeeperFailed(
                    f"the supervisor did not start: {words[-400:] or 'it said nothing'}",
                    hint=f"see {self.state / 'logs' / 'supervisor.log'}",
                )
            time.sleep(0.05)

    def put(self, name: str, program: Program) -> None:
        """Let the supervisor know *program*; a changed one is stopped, an unchanged one is left alone."""
        self._programs.mkdir(mode=0o700, exist_ok=True)
        path, text = self._programs / f"{name}.conf", render(name, program, self.state / "logs" / f"{name}.log")
        if not path.exists() or path.read_text() != text:
            # The environment may hold secrets.
            path.touch(mode=0o600)
            path.write_text(text)
        added, changed, removed = cast("list[list[list[str]]]", self._call("supervisor.reloadConfig"))[0]
        for gone in changed + removed:
            self._call("supervisor.stopProcessGroup", gone)
            self._call("supervisor.removeProcessGroup", gone)
        for new in added + changed:
            self._call("supervisor.addProcessGroup", new)

    def processes(self) -> dict[str, Process]:
        """Every program that the supervisor knows; none where it does not run."""
        with contextlib.suppress(NotRunning):
            rows = cast("list[dict[str, Any]]", self._call("supervisor.getAllProcessInfo"))
            return {row["name"]: _process(row) for row in rows}
        return {}

    def process(self, name: str) -> Process:
        """What is known of *name*; STOPPED where the supervisor has not heard of it."""
        return self.processes().get(name) or Process(name, ProcessState.STOPPED, 0, "")

    def begin(self, name: str) -> None:
        """Start the program and return at once."""
        # One that ended before the supervisor looked again is told by its state, as one that ended a moment later is.
        with contextlib.suppress(_AlreadyStarted, _EndedAtOnce):
            wait = False
            self._call("supervisor.startProcess", name, wait)

    def stop(self, name: str, *, wait: bool = True) -> None:
        """Stop the program by its own signal, after its patience by SIGKILL; *wait* until it is gone. KeeperFailed."""
        # Never waited for within the call: the supervisor takes a whole processor to find out whether the program is gone.
        within = False
        with contextlib.suppress(_NotStarted):
            self._call("supervisor.stopProcess", name, within)
        deadline = time.monotonic() + _ANSWER_SECONDS
        while wait and self.process(name).state is ProcessState.STOPPING:
            if time.monotonic() > deadline:
                raise KeeperFailed(
                    f"{name} is not gone {_ANSWER_SECONDS} s after it was told to stop",
                    hint=f"see {self.state / 'logs' / f'{name}.log'}",
                )
            time.sleep(_LOOK_SECONDS)

    def shut_down(self) -> None:
        """End the supervisor with all it keeps."""
        self._call("supervisor.shutdown")

    def _call(self, method: str, *arguments: Any) -> Any:
        try:
            with xmlrpc.client.ServerProxy("http://replica/RPC2", transport=_OverSocket(self.socket)) as server:
                return getattr(server, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            raise _FAULTS.get(fault.faultCode, KeeperFailed)(
                f"the supervisor refused {method}{arguments}: {fault.faultString}"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise NotRunning(f"no supervisor answers at {self.socket}: {error}", hint="python -m replica up") from None

    def _write_own_configuration(self) -> None:
        user = pwd.getpwuid(os.geteuid()).pw_name
        text = _OWN.format(state=self.state, user=f"user={user}" if os.geteuid() == 0 else "")
        (self.state / "supervisor.conf").write_text(text)
        self._programs.mkdir(mode=0o700, exist_ok=True)


class _AlreadyStarted(KeeperFailed): ...


class _NotStarted(KeeperFailed): ...


class _EndedAtOnce(KeeperFailed): ...


# supervisor.xmlrpc.Faults: ALREADY_STARTED, NOT_RUNNING, BAD_NAME (a program never put cannot be running), SPAWN_ERROR
_FAULTS: dict[int, type[KeeperFailed]] = {60: _AlreadyStarted, 70: _NotStarted, 10: _NotStarted, 50: _EndedAtOnce}

_OWN = """\
[unix_http_server]
file={state}/supervisor.sock
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
{user}
pidfile={state}/supervisor.pid
logfile={state}/logs/supervisor.log
logfile_maxbytes=5MB
logfile_backups=1
childlogdir={state}/logs
umask=077
silent=true

[include]
files={state}/programs/*.conf
"""


def render(name: str, program: Program, log: Path) -> str:
    """The supervisor's section for *program*. In its format `%` is doubled, and a value cannot hold a double quote."""
    lines = [
        f"[program:{name}]",
        f"command={shlex.join(program.command)}",
        f"environment={','.join(_assignment(key, value) for key, value in sorted(program.environment.items()))}",
        "autostart=false",
        "autorestart=unexpected",
        "startsecs=1",
        "startretries=1",
        f"stopsignal={program.stop_signal}",
        f"stopwaitsecs={program.stop_seconds}",
        "redirect_stderr=true",
        f"stdout_logfile={log}",
        "stdout_logfile_maxbytes=20MB",
        "stdout_logfile_backups=2",
    ]
    lines += [f"user={program.user}"] if program.user and os.geteuid() == 0 else []
    lines += [f"directory={program.directory}"] if program.directory else []
    return "\n".join(line.replace("%", "%%") for line in lines) + "\n"


def _assignment(key: str, value: str) -> str:
    if '"' in value or "\n" in value:
        # The value is not echoed: it may be a secret.
        raise KeeperFailed(f"the value of {key} holds a double quote or a line break, which a program's section cannot")
    return f'{key}="{value}"'


def _environment(state: Path) -> dict[str, str]:
    """What every server inherits: nothing of the caller's shell that could change how it works."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "USER", "LOGNAME", "TMPDIR") if name in os.environ}
    return {**kept, **QUIET, "LANG": "C.UTF-8", "TZ": "UTC", TAG: str(state)}


def _process(row: dict[str, Any]) -> Process:
    return Process(str(row["name"]), ProcessState(row["state"]), int(row["pid"]), str(row["spawnerr"]))


class _OverSocket(xmlrpc.client.Transport):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        del host
        return _Connection(self._path)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
