"""A few threads that load keys, either for somebody who waits or, in pauses that requests do not feel, for nobody yet.

No ThreadPoolExecutor: the interpreter joins its threads at its end, and would hang as long as a vault does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

_Work = Callable[[], None]


class Loaders:
    """Daemon threads, made when they are needed; they end with this object or with the process."""

    def __init__(self, most: int, *, share: float = 1.0) -> None:
        """*share*: of a processor, and so of the interpreter's lock, that each thread may take in the long run."""
        self._most, self._share, self._threads = most, share, 0
        self._line = _Line()

    def submit(self, work: _Work) -> None:
        """*work* raises nothing. One caller at a time. Raises RuntimeError where the system gives not even one thread."""
        if self._line.put(work) or self._threads == self._most:
            return
        serving = threading.Thread(
            target=_serve, args=(self._line, self._share), name="steward-tenant-keys", daemon=True
        )
        try:
            serving.start()
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
        # None for the end. A SimpleQueue may be used by a destructor at any moment, and in the child of a fork, whose
        # memory has no more of the threads than that they waited for it.
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)

    def put(self, work: _Work) -> bool:
        """Whether a thread was idle."""
        self._work.put(work)
        return self._idle.acquire(blocking=False)

    def take(self) -> _Work | None:
        if self._work.empty():
            self._idle.release()
        return self._work.get()

    def end(self, threads: int) -> None:
        for _ in range(threads):
            self._work.put(None)


def _serve(line: _Line, share: float) -> None:
    while work := line.take():
        began, used = time.monotonic(), time.thread_time()
        work()
        # Not held while waiting for the next: it holds whose work it was.
        del work
        # A load that waits for a distant vault has rested already.
        resting = (time.thread_time() - used) / share - (time.monotonic() - began)
        if resting > 0:
            time.sleep(resting)
