"""`python -m demo.receivers FOLDER`: run them until told to end, and print the `[notices]` that reaches them.

What they get is written into FOLDER/received.jsonl.
"""

from __future__ import annotations

import argparse
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import tomli_w

from demo.receivers.mail import MailReceiver
from demo.receivers.received import LOOPBACK, Received
from demo.receivers.web import WebReceiver


def notices(web: WebReceiver, mail: MailReceiver, folder: Path) -> dict[str, Any]:
    """The settings that reach them; what is secret is written into files of *folder*."""
    for name, secret in {"webhook": web.webhook, "github-token": web.token}.items():
        path = folder / name
        path.touch(mode=0o600)
        path.write_text(secret)
    return {
        "targets": {
            "releases": {"kind": "slack", "url": f"file:{folder / 'webhook'}"},
            "on-call": {
                "kind": "mail",
                "host": LOOPBACK,
                "port": mail.port,
                "tls": "none",
                "sender": "steward@example.net",
                "to": ["on-call@example.net"],
            },
            "deployments": {
                "kind": "github",
                "url": web.url,
                "token": f"file:{folder / 'github-token'}",
                "repository": "acme/shop",
            },
        }
    }


def main(arguments: list[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    folder: Path = chosen.folder.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    received = Received(folder / "received.jsonl")
    # Taken before they serve, so that whoever reads the settings may end them.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with ExitStack() as stack:
        web = stack.enter_context(WebReceiver(received, chosen.web_port).running())
        mail = stack.enter_context(MailReceiver(received, chosen.mail_port).running())
        print(tomli_w.dumps({"notices": notices(web, mail, folder)}), flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo.receivers", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--web-port", type=int, default=0, help="of webhook and API (default: any)")
    parser.add_argument("--mail-port", type=int, default=0, help="of the mail server (default: any)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
