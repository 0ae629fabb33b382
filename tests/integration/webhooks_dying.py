"""A receiver that is killed at its first delivery: `before` it is stored, or `after` that and before it is answered."""

from __future__ import annotations

import os
import signal
import sys

from services.webhooks.__main__ import main
from steward.clients.webhook_keeping import Inbox

_keep = Inbox.keep


async def _die_before(self, delivery):
    os.kill(os.getpid(), signal.SIGKILL)


async def _die_after(self, delivery):
    await _keep(self, delivery)
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    when, *arguments = sys.argv[1:]
    Inbox.keep = {"before": _die_before, "after": _die_after}[when]
    sys.exit(main(arguments))
