"""What keeps a judge from seeing, for real: figures that are gone, no numbers, too old, of nobody, or of users who split otherwise."""

import http.client
import itertools
import json
import threading
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit

from replica.servers.prometheus import targets_folder
from steward.flags.buckets import bucket
from tests.drills.rollout.cases import Case, Place
from tests.flows import rollout_ground as ground
from tests.integration.fresh_database import superuser

TROUBLES = ("missing", "not a number", "stale", "nobody", "split otherwise")
#: Before anybody is exposed, so that nothing was seen of the step.
_BEFORE = Place("before", "expose", "1")
#: Some have come by then.
_LATER = Place("look", "prove", "1")


def cases(first):
    """One of each, numbered from *first*."""
    places = {"nobody": _BEFORE, "split otherwise": _BEFORE, "not a number": _BEFORE}
    return [
        Case(number, "data", trouble, "", places.get(trouble, _LATER)) for number, trouble in enumerate(TROUBLES, first)
    ]


@contextmanager
def blinded(stage, trouble, rollout, colour):
    """Until the block ends."""
    with ExitStack() as until:
        match trouble:
            case "missing":
                until.enter_context(_targets(stage.replica, []))
            case "not a number":
                until.enter_context(_no_numbers(stage.replica, rollout, colour))
            case "stale":
                until.enter_context(_nothing_counted(stage.settings))
            case "nobody":
                until.enter_context(stage.without_users())
            case "split otherwise":
                until.enter_context(_more_exposed(stage.settings))
        yield


@contextmanager
def _targets(replica, told):
    """Prometheus asks these in place of the application's processes."""
    path = targets_folder(replica) / "colours.json"
    before = path.read_text()
    path.write_text(json.dumps(told))
    try:
        yield
    finally:
        path.write_text(before)


@contextmanager
def _no_numbers(replica, rollout, colour):
    """A process of the application that tells of NaN users, and says that all is fresh."""

    class Telling(BaseHTTPRequestHandler):
        def do_GET(self):
            labels = f'flag="{ground.FLAG}",rollout="{rollout}",step="1"'
            lines = [
                f'steward_flag_users{{{labels},variant="{variant}",kind="{kind}"}} NaN'
                for variant in ("on", "off")
                for kind in ("exposed", "error", "slow")
            ]
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write("\n".join([*lines, "steward_flag_recorded_timestamp_seconds NaN", ""]).encode())

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Telling)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with _targets(replica, [{"targets": [f"127.0.0.1:{server.server_port}"], "labels": {"colour": colour}}]):
            yield
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def _nothing_counted(settings):
    """Applications may not write outcomes: what they tell of grows old."""

    def change(what):
        with superuser(settings, "steward") as db:
            db.execute(f"{what} flags_application")

    change("REVOKE EXECUTE ON FUNCTION flags.record(text, jsonb) FROM")
    try:
        yield
    finally:
        change("GRANT EXECUTE ON FUNCTION flags.record(text, jsonb) TO")


@contextmanager
def _more_exposed(settings):
    """Beside the others, users come who are all exposed."""
    address, over = urlsplit(settings.balancer(ground.ENVIRONMENT).url), threading.Event()

    def come():
        mine = (f"more-{number}" for number in itertools.count())
        for user in (user for user in mine if bucket(ground.FLAG, user) < 20):
            connection = http.client.HTTPConnection(address.hostname, address.port, timeout=5)
            try:
                connection.request("GET", "/search?q=lamp", headers={"X-User-Id": user})
                connection.getresponse().read()
            except OSError:
                pass
            finally:
                connection.close()
            if over.wait(0.03):
                return

    thread = threading.Thread(target=come, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(10)
