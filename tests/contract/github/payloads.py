"""GitHub's payloads, whole: examples of each event, as @octokit/webhooks-examples has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
EVENTS = ("ping", "deployment", "deployment_status", "workflow_run", "deployment_protection_rule")


def examples(event: str) -> list[dict[str, Any]]:
    """Each a copy of the caller's own."""
    return json.loads((FOLDER / "payloads" / f"{event}.json").read_text())


def whole(event: str, number: int) -> dict[str, Any]:
    """One of them."""
    return examples(event)[number]


def schema() -> dict[str, Any]:
    """Of all that is kept here; GitHub's own, without its descriptions."""
    return json.loads((FOLDER / "schema.json").read_text())
