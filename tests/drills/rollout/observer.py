"""An application of its own: `python -m tests.drills.rollout.observer FLAG USERS OUT`. Ten times a second it writes who gets
the flag: a line with the Unix time and a digit for each user of the JSON list USERS.
"""

import json
import sys
import time
from pathlib import Path

from openfeature.evaluation_context import EvaluationContext

from steward.flags.application import connect
from steward.settings import load

EVERY_SECONDS = 0.1


def main(flag, users, out):
    client = connect(load().flags, domain="observer", wait_seconds=30)
    asked = [EvaluationContext(user) for user in json.loads(users)]
    with Path(out).open("w", buffering=1) as lines:
        following = time.monotonic()
        while True:
            # Its time is from before: what it says was so then, or later.
            at = time.time()
            got = "".join(str(int(client.get_boolean_value(flag, False, each))) for each in asked)
            lines.write(f"{at:.3f} {got}\n")
            following = max(following + EVERY_SECONDS, time.monotonic())
            time.sleep(max(0.0, following - time.monotonic()))


if __name__ == "__main__":
    main(*sys.argv[1:])
