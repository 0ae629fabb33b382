"""One colour of the shop: the process that runs on its port, and what is known of it after its host was killed.

What should run is kept in a file. What does run is found by a tag in its environment, never by a number that was written
down: a host that was killed between starting a process and writing of it would start a second one.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any, Literal

import psutil

from demo.shop.words import last_words
from steward.errors import StewardError

_TAG = "SHOP_HOSTED_AT"
_START_SECONDS, _LOOK_SECONDS = 20.0, 0.05
#: As long as the shop itself gives what is under way, and a little more.
_STOP_SECONDS = 12.0
_ANSWER_SECONDS = 2.0
#: A release that ends again and again is started ever more rarely.
_FIRST_REST_SECONDS, _LONGEST_REST_SECONDS, _STEADY_SECONDS = 0.5, 30.0, 60.0

State = Literal["running", "failed", "restarting", "empty"]


class DidNotStart(StewardError):
    """The process ended, or answered to nothing, before it served."""

    def __init__(self, release: str, colour: str, why: str, words: list[str]) -> None:
        super().__init__(f"release {release} did not start on {colour}: {why}", hint="its last words tell more")
        self.words = words


class NothingRuns(StewardError):
    """There is nothing to start again."""


@dataclass(frozen=True)
class Standing:
    """What is on a colour now."""

    colour: str
    url: str
    state: State
    release: str | None = None
    pid: int | None = None
    since: str | None = None
    adopted: bool = False
    """Whether it was started by a host that is gone."""
    healthy: bool | None = None
    """None: nothing runs that could be asked."""
    health: str = ""
    words: list[str] = field(default_factory=list[str])
    """Of a release that ended: its last lines."""


class Colour:
    """Whoever changes it waits for whoever does so already."""

    def __init__(self, name: str, port: int, folder: Path, secrets: Callable[[], Iterable[str]]) -> None:
        self.name, self._port, self._folder, self._secrets = name, port, folder, secrets
        self._changing = threading.Lock()
        self._process: psutil.Process | None = None
        self._started: psutil.Popen | None = None
        self._failed: tuple[str, list[str]] | None = None
        self._since = 0.0
        self._rest = _FIRST_REST_SECONDS
        self._rest_until = 0.0

    def find(self) -> None:
        """Take over what runs, where it is what should; end everything else. Then start what is missing."""
        with self._changing:
            release, mine = self._wanted(), list(self._tagged())
            fit = [each for each in mine if release and self._serves(each, release)]
            for process in mine:
                if process not in fit[:1]:
                    _end(process)
            if fit:
                self._process, self._since = fit[0], fit[0].create_time()
            elif release:
                with contextlib.suppress(DidNotStart):
                    self._start(release)

    def place(self, release: str) -> bool:
        """Let *release* run here, in place of whatever does; False: it does already. Raises DidNotStart, and is empty then."""
        with self._changing:
            if self._runs() and self._wanted() == release:
                return False
            self._stop()
            self._want(release)
            self._start_or_forget(release)
            return True

    def restart(self) -> None:
        """The same release in another process. Raises NothingRuns, DidNotStart."""
        with self._changing:
            release = self._wanted()
            if release is None:
                raise NothingRuns(f"nothing runs on {self.name}", hint="put a release there")
            self._stop()
            self._start_or_forget(release)

    def empty(self) -> None:
        """Nothing runs here, nor will after the host is started again."""
        with self._changing:
            self._stop()
            self._want(None)
            self._failed = None

    def leave(self) -> None:
        """The host ends, and what it hosts with it. Another host starts it again."""
        with self._changing:
            self._stop()

    def look(self) -> None:
        """Start again what ended by itself. Not while somebody changes it."""
        if not self._changing.acquire(blocking=False):
            return
        try:
            release = self._wanted()
            if release is None or self._runs():
                if time.time() - self._since > _STEADY_SECONDS:
                    self._rest = _FIRST_REST_SECONDS
            elif time.monotonic() >= self._rest_until:
                self._rest_until = time.monotonic() + self._rest
                self._rest = min(2 * self._rest, _LONGEST_REST_SECONDS)
                with contextlib.suppress(DidNotStart):
                    self._start(release)
        finally:
            self._changing.release()

    def standing(self) -> Standing:
        """Asks the process for its health."""
        url, release, process = f"http://127.0.0.1:{self._port}", self._wanted(), self._process
        if release is None or process is None or not self._runs():
            failed = self._failed
            if release is None and failed:
                return Standing(self.name, url, "failed", failed[0], words=failed[1])
            words = failed[1] if failed else []
            return Standing(self.name, url, "restarting" if release else "empty", release, words=words)
        status, text = self._ask("/healthz")
        since = dt.datetime.fromtimestamp(self._since, dt.UTC).isoformat(timespec="seconds")
        return Standing(
            self.name,
            url,
            "running",
            release,
            pid=process.pid,
            since=since,
            adopted=self._started is None,
            healthy=status == HTTPStatus.OK,
            health=text.strip(),
        )

    def _start_or_forget(self, release: str) -> None:
        try:
            self._start(release)
        except DidNotStart:
            self._want(None)
            raise

    def _start(self, release: str) -> None:
        self._started = self._process = self._spawn(release)
        self._since = time.time()
        deadline = time.monotonic() + _START_SECONDS
        while not self._serves(self._process, release):
            if not self._runs() or time.monotonic() > deadline:
                why = "it does not answer" if self._runs() else f"it ended with {self._started.wait(0)}"
                self._stop()
                words = last_words(self._log, self._secrets())
                self._failed = release, words
                raise DidNotStart(release, self.name, why, words)
            time.sleep(_LOOK_SECONDS)
        self._failed = None

    def _spawn(self, release: str) -> psutil.Popen:
        command = [sys.executable, "-m", "demo.shop", "serve", "--release", release]
        command += ["--colour", self.name, "--port", str(self._port), "--taken", str(taken_in(self._folder))]
        with open(os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as log:  # noqa: PTH123  a mode
            # In a session of its own: what ends the host does not end what it hosts.
            environment = {**os.environ, _TAG: self._tag}
            return psutil.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)

    def _stop(self) -> None:
        if self._process is not None:
            _end(self._process)
        if self._started is not None:
            # Reaped; also where it ended by itself.
            self._started.wait(_STOP_SECONDS)
        self._process = self._started = None

    def _runs(self) -> bool:
        if self._started is not None:
            return self._started.poll() is None
        return self._process is not None and _is_alive(self._process)

    def _serves(self, process: psutil.Process, release: str) -> bool:
        """Whether the one who answers is *process*: another on the port would be asked as well."""
        status, text = self._ask("/release")
        if status != HTTPStatus.OK:
            return False
        try:
            told: Any = json.loads(text)
        except ValueError:
            return False
        return told == {"release": release, "colour": self.name, "pid": process.pid}

    def _ask(self, path: str) -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=_ANSWER_SECONDS)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read(10_000).decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            return 0, f"it does not answer: {type(error).__name__}"
        finally:
            connection.close()

    def _tagged(self) -> Iterable[psutil.Process]:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.environ().get(_TAG) == self._tag and _is_alive(process):
                    yield process

    @property
    def _tag(self) -> str:
        return f"{self._folder}/{self.name}"

    @property
    def _log(self) -> Path:
        return self._folder / f"{self.name}.log"

    def _wanted(self) -> str | None:
        try:
            return json.loads((self._folder / f"{self.name}.json").read_text())["release"]
        except FileNotFoundError:
            return None

    def _want(self, release: str | None) -> None:
        path = self._folder / f"{self.name}.json"
        if release is None:
            path.unlink(missing_ok=True)
            return
        beside = path.with_suffix(".new")
        beside.write_text(json.dumps({"release": release}))
        beside.replace(path)


def taken_in(folder: Path) -> Path:
    """Where a host at work in *folder* keeps releases that it was given."""
    return folder / "releases"


def _end(process: psutil.Process) -> None:
    """By SIGTERM, so that what is under way ends; a frozen one is woken for it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + _STOP_SECONDS
        while _is_alive(process):
            if time.monotonic() > deadline:
                process.kill()
                deadline += _STOP_SECONDS
            time.sleep(_LOOK_SECONDS)


def _is_alive(process: psutil.Process) -> bool:
    """A dead one that its parent has not noticed yet, the system's first process say, is none that runs."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
