"""Render the schema that rules of webhooks keep, and read those that are shipped: `python -m deployments.webhooks render [--check]`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from steward.errors import StewardError
from steward.webhooks.rules import Rules, read_rules

HERE = Path(__file__).parent
_NAME = "rules.schema.json"


def main(arguments: list[str] | None = None) -> int:
    """Exit status: 0 rendered or up to date, 1 `--check` found a difference, 2 the rules are unusable."""
    parser = argparse.ArgumentParser(prog="python -m deployments.webhooks", description=__doc__)
    parser.add_argument("command", choices=["render"])
    parser.add_argument("--check", action="store_true", help="change nothing; fail if the schema differs")
    parser.add_argument("--folder", type=Path, default=HERE, help="where rules.toml is and the schema goes")
    options = parser.parse_args(arguments)
    try:
        read_rules(options.folder / "rules.toml")
    except StewardError as error:
        print(error, file=sys.stderr)
        return 2
    return _render(options.folder / _NAME, check=options.check)


def _render(path: Path, *, check: bool) -> int:
    text = json.dumps(Rules.model_json_schema(), indent=2) + "\n"
    if path.is_file() and path.read_text() == text:
        return 0
    if check:
        print(f"{_NAME} is not the schema of rules\nHINT: python -m deployments.webhooks render", file=sys.stderr)
        return 1
    path.write_text(text)
    print(f"wrote {_NAME}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
