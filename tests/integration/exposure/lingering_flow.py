"""A flow's process as a worker starts it, told to tell all; when the flow is over, its memory is written to a file.

`python -m tests.integration.exposure.lingering_flow`, in place of `python -m prefect.engine`.
"""

from __future__ import annotations

import gc
import logging
import os
import runpy
import sys
from pathlib import Path

from prefect.logging.handlers import APILogWorker

from tests.integration.exposure.memory import dump

VARIABLE = "STEWARD_TEST_MEMORY"
#: Whatever comes near a key. Not `websockets`, which at DEBUG prints the password of Prefect's API (docs/key-exposure.md).
#: Not botocore's `hooks`: thousands of lines on what it does not do.
TALKATIVE = [
    "azure",
    "msal",
    "urllib3",
    "requests",
    "httpx",
    "httpcore",
    "boto3",
    "s3transfer",
    "psycopg",
    "sqlalchemy",
    "steward",
    "botocore.auth",
    "botocore.awsrequest",
    "botocore.endpoint",
    "botocore.httpsession",
    "botocore.parsers",
]


def main() -> None:
    """Exit as the engine does."""
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.DEBUG)
    code: object = 0
    try:
        runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = ended.code
    # Prefect gives its last lines five seconds at the exit, and whoever looks for this file looks for them, too.
    APILogWorker.drain_all(timeout=60)
    gc.collect()
    dump(Path(os.environ[VARIABLE]) / f"{os.environ['PREFECT__FLOW_RUN_ID']}.memory")
    sys.exit(code)


if __name__ == "__main__":
    main()
