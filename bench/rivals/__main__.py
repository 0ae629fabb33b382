"""Answers one round a line: standard input says `NAME CALLS`, standard output has what it took, as JSON.

The first line of output says which rivals there are, and their versions.
"""

from __future__ import annotations

import json
import sys

from bench.fieldcrypt_loops import rows, time_round
from bench.rivals.contenders import CONTENDERS, VERSIONS


def main() -> None:
    """Until standard input ends."""
    contenders = {name: make() for name, make in CONTENDERS.items()}
    wanted = rows()
    print(json.dumps({"versions": VERSIONS, "contenders": list(contenders)}), flush=True)
    for line in sys.stdin:
        name, calls = line.split()
        print(json.dumps(time_round(contenders[name], wanted, int(calls))._asdict()), flush=True)


if __name__ == "__main__":
    main()
