"""A few threads that load keys: those that somebody waits for before those that nobody does.

No ThreadPoolExecutor: the interpreter joins its threads at its end, and would hang as long as a vault does.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue

_Work = Callable[[], None]


class Loaders:
    """Daemon threads, made when they are needed; they end with this object or with the process."""

    def __init__(self, most: int) -> None:
        self._most, self._threads = most, 0
        self._line = _Line()

    def submit(self, work: _Work, *, urgent: bool) -> None:
        """*work* raises nothing. One caller at a time. Raises RuntimeError where the system gives not even one thread."""
        if self._line.put(work, urgent=urgent) or self._threads == self._most:
            return
        try:
            threading.Thread(target=_serve, args=(self._line,), name="steward-tenant-keys", daemon=True).start()
        except RuntimeError:
            if self._threads == 0:
                raise
        else:
            self._threads += 1

    def close(self) -> None:
        """Let each thread end when it is done with what it has in hand."""
        threads, self._threads = self._threads, 0
        self._line.end(threads)

    def __del__(self) -> None:
        self.close()


class _Line:
    """What waits for a thread."""

    def __init__(self) -> None:
        self._urgent: deque[_Work] = deque()
        self._others: deque[_Work] = deque()
        # One for each work in the deques, or None for the end. A SimpleQueue may be used by a destructor at any moment,
        # and in the child of a fork, whose memory has no more of the threads than that they waited for it.
        self._tokens: SimpleQueue[bool | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)

    def put(self, work: _Work, *, urgent: bool) -> bool:
        """Whether a thread was idle."""
        (self._urgent if urgent else self._others).append(work)
        self._tokens.put(item=True)
        return self._idle.acquire(blocking=False)

    def take(self) -> _Work | None:
        if self._tokens.empty():
            self._idle.release()
        if self._tokens.get() is None:
            return None
        try:
            return self._urgent.popleft()
        except IndexError:
            return self._others.popleft()

    def end(self, threads: int) -> None:
        for _ in range(threads):
            self._tokens.put(None)


def _serve(line: _Line) -> None:
    while work := line.take():
        work()
        # Not held while waiting for the next: it holds whose work it was.
        del work
