"""A dispatcher's process, and the check of its rules."""

from __future__ import annotations

import os
import signal
import sys
import threading
from wsgiref.simple_server import WSGIRequestHandler, make_server

from prometheus_client import make_wsgi_app
from typing_extensions import override

from services.watch.journal import say
from services.watch.runs import connected
from services.webhooks.checking import faults_of
from services.webhooks.dispatcher import Dispatcher
from services.webhooks.server import demand_webhooks
from steward.errors import BadInput
from steward.settings import Settings
from steward.webhooks.rules import read_rules


def dispatch(settings: Settings, *, port: int, lanes: int) -> int:
    """Until SIGTERM or SIGINT. Raises BadInput for settings or rules that nothing can be dispatched by."""
    _demand_prefect()
    dispatcher = Dispatcher(settings, read_rules(demand_webhooks(settings).rules))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: dispatcher.stop())
    served = _serve(dispatcher, port)
    say("dispatching", pid=os.getpid(), listen=f"127.0.0.1:{served}", rules=len(dispatcher.rules.rule), lanes=lanes)
    dispatcher.run(lanes)
    say("stopped")
    sys.stdout.flush()
    # Every thread is a daemon's; one that hangs in a call must not keep the process.
    os._exit(0)


def check(settings: Settings) -> int:
    """0: every rule can be kept; 1: the faults, each on a line. Raises BadInput, PrefectAway."""
    _demand_prefect()
    webhooks = demand_webhooks(settings)
    rules = read_rules(webhooks.rules)
    with connected() as runs:
        faults = faults_of(rules, webhooks, runs)
    for fault in faults:
        sys.stderr.write(f"{fault}\n")
    if not faults:
        sys.stdout.write(f"{len(rules.rule)} rules: sources, deployments and parameters are there\n")
    return 1 if faults else 0


def _demand_prefect() -> None:
    if not os.environ.get("PREFECT_API_URL"):
        # Its client would start a server of its own, and find it empty.
        raise BadInput(
            "PREFECT_API_URL is not set", hint="let it name the API of Prefect's server: http://HOST:PORT/api"
        )


def _serve(dispatcher: Dispatcher, port: int) -> int:
    """/metrics and /healthz, in a thread; the port, which is chosen where *port* is 0."""
    metrics = make_wsgi_app(dispatcher.counts.registry)

    def application(environ: dict[str, object], start_response: object) -> object:
        if environ.get("PATH_INFO") != "/healthz":
            return metrics(environ, start_response)  # pyright: ignore[reportArgumentType]
        is_well, lines = dispatcher.health()
        start_response("200 OK" if is_well else "503 Service Unavailable", [("Content-Type", "text/plain")])  # pyright: ignore[reportCallIssue]
        return ["\n".join([*lines, ""]).encode()]

    try:
        server = make_server("127.0.0.1", port, application, handler_class=_Quiet)  # pyright: ignore[reportArgumentType]
    except OSError as error:
        raise BadInput(f"cannot listen on 127.0.0.1:{port}: {error.strerror}", hint="choose another --port") from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


class _Quiet(WSGIRequestHandler):
    @override
    def log_message(self, format: str, *args: object) -> None:
        """A scrape is no event."""
