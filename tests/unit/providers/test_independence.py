"""The twins judge what the project says of limits, attempts and costs, so they share no code with it."""

from __future__ import annotations

import ast
from pathlib import Path

import replica.providers

OURS = {"steward", "tasks", "flows", "services", "demo", "bench"}


def test_the_twins_take_nothing_of_ours_but_the_bases_of_errors() -> None:
    taken = set()
    for file in Path(replica.providers.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            taken |= {name for name in names if name.partition(".")[0] in OURS}
    assert taken == {"steward.errors"}
