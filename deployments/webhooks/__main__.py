"""Check the shipped rules and render their schema: `python -m deployments.webhooks render [--check]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from steward.errors import StewardError
from steward.webhooks.rules import Rules, load_rules

SCHEMA = Path(__file__).parent / "rules.schema.json"


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 rendered or up to date, 1 `--check` found a difference, 2 the rules are unusable."""
    parser = argparse.ArgumentParser(prog="python -m deployments.webhooks", description=__doc__)
    parser.add_argument("command", choices=["render"])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the schema's file differs")
    options = parser.parse_args(arguments)
    try:
        load_rules(None)
    except StewardError as error:
        print(error, file=sys.stderr)
        return 2
    text = schema()
    if not options.check:
        SCHEMA.write_text(text)
    elif not SCHEMA.is_file() or SCHEMA.read_text() != text:
        print(f"{SCHEMA.name} is not the rules' schema\nHINT: python -m deployments.webhooks render", file=sys.stderr)
        return 1
    return 0


def schema() -> str:
    """For editors: what a file of rules may have."""
    described = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Rules.model_json_schema()}
    return json.dumps(described, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
