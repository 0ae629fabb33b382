"""Curator's check of a restore: `python -m bench.rivals.curator_check HOST CA USER PASSWORD_FILE`.

Each line of input is a restore to be checked, as JSON: repository, snapshot, indices, prefix; `restore` where Curator is to
do it itself. Each line of output says what it found: a text, or null. Its own action classes are used, as its command does.
"""

# Curator is not installed where types are checked.
# pyright: reportMissingImports=false, reportUnknownParameterType=false

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from curator import SnapshotList
from curator.actions import Restore
from curator.helpers.waiters import restore_check
from elasticsearch9 import Elasticsearch

#: A restore that ended with failed shards is waited for as if it went on; by default for ever.
_MOST_SECONDS = 5


def main() -> None:
    """Until standard input ends."""
    host, ca, user, password_file = sys.argv[1:]
    # Its command asks `GET /` first, for the version; its actions do not.
    client = Elasticsearch(
        host, ca_certs=ca, basic_auth=(user, Path(password_file).read_text().strip()), request_timeout=60, max_retries=0
    )
    print(json.dumps({"version": version("elasticsearch-curator")}), flush=True)
    for line in sys.stdin:
        print(json.dumps({"found": _found(client, json.loads(line))}), flush=True)


def _found(client: Any, asked: dict[str, Any]) -> str | None:
    try:
        action = Restore(
            SnapshotList(client, repository=asked["repository"]),
            name=asked["snapshot"],
            indices=asked["indices"],
            rename_pattern="(.+)",
            rename_replacement=asked["prefix"] + "$1",
            extra_settings={"index.number_of_replicas": 0},
            wait_interval=1,
            max_wait=_MOST_SECONDS,
        )
        if asked.get("restore"):
            action.do_action()
        elif not restore_check(client, action.expected_output):
            return "a shard is not restored"
        action.report_state()
    except Exception as error:  # noqa: BLE001  whatever it raises is how it says that something is wrong
        return f"{type(error).__name__}: {error}"[:300]
    return None


if __name__ == "__main__":
    main()
