"""`python -m demo.shop serve --release NAME --colour green --port N`: one process of the shop. `lay`: its tables."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

import uvicorn

from demo.shop.application import PUT_BY, Shop
from demo.shop.ground import lay
from demo.shop.pool import Pool
from demo.shop.releases import Release, read
from demo.shop.settings import ShopSettings
from steward.errors import StewardError
from steward.flags.application import ExposureHook, Outcomes, PostgresStore, Writer, connect
from steward.settings import read_secret

#: Without flags it serves all the same, and says that it is not ready.
_FLAGS_SECONDS = 2.0
#: What is under way may end.
_LEAVING_SECONDS = 10


def main(arguments: list[str]) -> int:
    """0, or 2 for bad input."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        return options.run(options)
    except StewardError as error:
        print(error, file=sys.stderr)
        return 2


def _serve(options: argparse.Namespace) -> int:
    release = read(options.release, options.taken)
    if not release.starts:
        print("ModuleNotFoundError: No module named 'shop_ranking'", file=sys.stderr)
        return 1
    shop = _opened(ShopSettings.load(), options.release, release, options.colour)
    uvicorn.run(
        shop.application(),
        host="127.0.0.1",
        port=options.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        # Longer than a user thinks: the balancer closes connections, not the shop under it.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=_LEAVING_SECONDS,
    )
    return 0


def _opened(settings: ShopSettings, name: str, release: Release, colour: str) -> Shop:
    outcomes = Outcomes(read_secret(settings.salt).encode(), kinds=[PUT_BY])
    flags = settings.flags
    client = connect(flags, [ExposureHook(outcomes)], wait_seconds=_FLAGS_SECONDS) if flags else None
    writer = None
    if flags is not None and (counting := flags.application) is not None:
        store = PostgresStore(counting.url, lambda: read_secret(counting.password), f"shop-{colour}")
        writer = Writer(outcomes, store)
    return Shop(name, release, colour, Pool(settings.database), outcomes, writer, client)


def _lay(_options: argparse.Namespace) -> int:
    lay(ShopSettings.load())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo.shop", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(required=True)
    serve = commands.add_parser("serve", help="on loopback: a load balancer stands before it")
    serve.add_argument("--release", required=True)
    serve.add_argument("--taken", type=Path, help="where its host keeps releases that it was given")
    serve.add_argument("--colour", required=True)
    serve.add_argument("--port", type=int, required=True)
    serve.set_defaults(run=_serve)
    commands.add_parser("lay", help="tables and products").set_defaults(run=_lay)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
