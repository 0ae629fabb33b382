"""The sample application, whose memory is written to a file: at SIGUSR1 while it serves, and when it has closed its keys."""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path

from demo.customers.__main__ import main
from tests.integration.exposure.memory import dump

VARIABLE = "STEWARD_TEST_MEMORY"
SERVING, CLOSED = "serving.memory", "closed.memory"

if __name__ == "__main__":
    folder = Path(os.environ[VARIABLE])
    signal.signal(signal.SIGUSR1, lambda *_: dump(folder / SERVING))
    # uvicorn ends in good order at this signal, then raises it anew: the process is to go on.
    signal.signal(signal.SIGTERM, lambda *_: None)
    main(sys.argv[1])
    gc.collect()
    dump(folder / CLOSED)
