"""What Steward's own services have in common here: the schema that they stand on, and how they say that they are well."""

from __future__ import annotations

import http
import http.client
import os
import subprocess

from replica.errors import DidNotStart
from replica.server import NotReady, Place, python
from replica.state import checkout

# `steward migrate` of an empty database beside Elasticsearch's four nodes that start.
_STEP_SECONDS = 120


def environment(place: Place) -> dict[str, str]:
    """Where a service finds its settings."""
    return {"STEWARD_SETTINGS": str(place.state / "settings.toml")}


def migrate(place: Place, server: str) -> None:
    """Steward's own command, harmless where it is done already. Raises DidNotStart of *server*."""
    done = subprocess.run(
        [python(), "-m", "steward", "migrate"],
        check=False,
        capture_output=True,
        text=True,
        cwd=checkout(),
        env=os.environ | environment(place),
        timeout=_STEP_SECONDS,
    )
    if done.returncode:
        raise DidNotStart(server, f"`steward migrate` failed: {done.stderr.strip()[-400:]}")


def healthy_lines(port: int, *, seconds: float) -> list[str]:
    """What `GET /healthz` says on *port*. Raises NotReady where it does not answer 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=seconds)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        lines = answer.read().decode().splitlines()
    except (OSError, http.client.HTTPException) as error:
        raise NotReady(f"/healthz: {type(error).__name__}: {error}") from None
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        raise NotReady("; ".join(lines))
    return lines
