"""Prometheus, which asks the application and the load balancer for their figures each second, and our services now and then."""

from __future__ import annotations

import hashlib
import http
import http.client
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from string import Template
from typing import Any

from replica.server import NotReady, Place, Program, Server
from replica.servers import debians
from replica.servers.haproxy import COLOURS, colour_port

_SECONDS = 3
_RETENTION, _MOST = "6h", "512MB"
# Of a series that is no longer scraped, a query sees the last value for so long. Prometheus's own five minutes are made for
# scrapes of a minute; here everything is asked for once in five seconds at least.
_LOOKBACK = "15s"
# An application's process that hangs must not keep a query.
_QUERY = "5s"


class Prometheus(Server):
    """On loopback, without a way to end, reload or change it over HTTP. What it scrapes may be down."""

    name = "prometheus"
    port_names = ("http",)
    client_ports = ("http",)
    by_default = False
    meets_limits = False
    ready_seconds = 60

    def prepare(self, place: Place) -> None:
        """The configuration, and the application's two colours as its first targets."""
        folder = place.folder(self.name)
        folder.mkdir(mode=0o700, exist_ok=True)
        self.data(place).mkdir(mode=0o700, exist_ok=True)
        targets_folder(place).mkdir(mode=0o700, exist_ok=True)
        template = Template((resources.files("deployments") / "prometheus" / "prometheus.yml").read_text())
        _configuration(place).write_text(
            template.substitute(
                targets=targets_folder(place),
                balancer=_address(place, "haproxy", "metrics"),
                watch=_address(place, "watch", "metrics"),
                gateway=_address(place, "gateway", "http"),
                webhooks=_address(place, "webhooks", "http"),
                dispatcher=_address(place, "dispatcher", "metrics"),
            )
        )
        colours = [
            {"targets": [f"127.0.0.1:{colour_port(place, colour)}"], "labels": {"colour": colour}} for colour in COLOURS
        ]
        (targets_folder(place) / "colours.json").write_text(json.dumps(colours, indent=1))

    def program(self, place: Place) -> Program:
        """Started anew where its configuration changed."""
        command = [
            str(debians.find("prometheus", self.name)),
            f"--config.file={_configuration(place)}",
            f"--storage.tsdb.path={self.data(place)}",
            f"--storage.tsdb.retention.time={_RETENTION}",
            f"--storage.tsdb.retention.size={_MOST}",
            f"--web.listen-address={_address(place, self.name, 'http')}",
            f"--query.lookback-delta={_LOOKBACK}",
            f"--query.timeout={_QUERY}",
            "--log.level=warn",
        ]
        digest = hashlib.sha256(_configuration(place).read_bytes()).hexdigest()
        return Program(command, {"STEWARD_CONFIGURATION": digest}, directory=place.folder(self.name))

    def probe(self, place: Place) -> str:
        """It is ready, and a query of its own is answered."""
        _ask(place, "/-/ready")
        version = json.loads(_ask(place, "/api/v1/status/buildinfo"))["data"]["version"]
        found = json.loads(_ask(place, "/api/v1/query?query=up"))["data"]["result"]
        up = sum(each["value"][1] == "1" for each in found)
        return f"Prometheus {version.partition('+')[0]}, {up} of {len(found)} targets answer"

    def data(self, place: Place) -> Path:
        """Its blocks and its write-ahead log."""
        return place.folder(self.name) / "data"

    def settings(self, place: Place) -> Mapping[str, Any]:
        """Where it is asked."""
        return {"prometheus": {"url": f"http://127.0.0.1:{place.client_port(self.name, 'http')}"}}


def targets_folder(place: Place) -> Path:
    """Where files of file-based service discovery name further processes of the application (`*.json`)."""
    return place.folder(Prometheus.name) / "targets"


def _configuration(place: Place) -> Path:
    return place.folder(Prometheus.name) / "prometheus.yml"


def _address(place: Place, server: str, port: str) -> str:
    return f"127.0.0.1:{place.port(server, port)}"


def _ask(place: Place, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", place.port(Prometheus.name, "http"), timeout=_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"{path}: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise NotReady(f"{path} answered {answer.status}")
    return content
