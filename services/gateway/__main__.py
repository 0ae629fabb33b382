"""`python -m services.gateway serve --port N --name gateway-1`: one worker. `new-key --id crm [--tenant acme]`: a caller's key."""

from __future__ import annotations

import argparse
import sys

import uvicorn

from services.gateway.application import Gateway
from services.gateway.callers import digest, new_key
from steward.errors import StewardError
from steward.settings import load

#: What is under way may end; a stream takes minutes.
LEAVING_SECONDS = 60


def main(arguments: list[str]) -> int:
    """0, or 2 for bad input."""
    options = _parser().parse_args(arguments)
    if options.command == "new-key":
        return _new_key(options)
    try:
        gateway = Gateway(load(), options.name, workers=options.workers)
    except StewardError as error:
        print(error, file=sys.stderr)
        return 2
    uvicorn.run(
        gateway,
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        # Paths and tenants are in the metrics; an access log would say nothing more, and cost as much as the ledger.
        access_log=False,
        log_level="warning",
        # Who calls is told by its key, whatever a proxy says of its address.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=LEAVING_SECONDS,
    )
    return 0


def _new_key(options: argparse.Namespace) -> int:
    key = new_key()
    print(f"give this to the caller, it is shown once: {key}", file=sys.stderr)
    lines = ["[[caller]]", f'id = "{options.id}"', f'sha256 = "{digest(key)}"']
    lines += [f'tenant = "{options.tenant}"'] if options.tenant else []
    lines += [f'project = "{options.project}"'] if options.project else []
    print("\n".join(lines))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.gateway", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="one worker, on loopback: a load balancer stands before it")
    serve.add_argument("--port", type=int, required=True)
    serve.add_argument("--name", required=True, help="as the ledger calls this worker")
    serve.add_argument("--workers", type=int, default=1, help="how many there are: they share the budget of retries")
    key = commands.add_parser("new-key", help="print an entry for the file of callers")
    key.add_argument("--id", required=True)
    key.add_argument("--tenant", help="absent: the caller names one in each request")
    key.add_argument("--project")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
