"""A YAML file with the line of each thing in it, so that a fault says where it stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deployments.prefect.faults import Fault

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """What a YAML file says, and where."""

    path: Path
    content: Any
    lines: dict[Place, int] = field(repr=False)
    faults: list[Fault]
    """What is wrong with it as YAML: syntax, keys that stand twice."""

    def where(self, place: Place) -> str:
        """`file:line path` of *place*, or of what it would stand in where it is missing. List items go by their name."""
        known = place
        while known not in self.lines and known:
            known = known[:-1]
        return f"{self.path.name}:{self.lines.get(known, 1)} {self._named(place)}".rstrip()

    def _named(self, place: Place) -> str:
        words = list[str]()
        at: Any = self.content
        for step in place:
            try:
                at = at[step]
            except (KeyError, IndexError, TypeError):
                at = None
            named = isinstance(step, int) and isinstance(at, dict) and (at.get("name") or at.get("slug"))
            words.append(str(named or step))
        return ".".join(words)


def read(path: Path) -> Document:
    """The document at *path*; one that cannot be read has no content and says why in `faults`."""
    try:
        text = path.read_text()
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except OSError as error:
        return _unreadable(path, 1, f"cannot be read ({error.strerror})")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        return _unreadable(path, mark.line + 1 if mark else 1, f"is not YAML ({getattr(error, 'problem', error)})")
    lines, faults = dict[Place, int](), list[Fault]()
    if root is not None:
        for place, node, twice in _walk(root, ()):
            lines.setdefault(place, node.start_mark.line + 1)
            if twice:
                where = f"{path.name}:{node.start_mark.line + 1} {'.'.join(map(str, place))}"
                faults.append(Fault(where, "the key stands twice", "once", "YAML keeps the last one without a word"))
    return Document(path, content, lines, faults)


def _unreadable(path: Path, line: int, reason: str) -> Document:
    fault = Fault(f"{path.name}:{line}", f"the file {reason}", "a YAML file", "mend it first: nothing else was checked")
    return Document(path, None, {}, [fault])


def _walk(node: yaml.Node, place: Place) -> Iterator[tuple[Place, yaml.Node, bool]]:
    """Each place below *node*: the node whose line it has, and whether its key stood there before."""
    if isinstance(node, yaml.MappingNode):
        seen = set[str]()
        for key, value in node.value:
            inner = (*place, str(key.value))
            yield inner, key, key.value in seen
            seen.add(key.value)
            yield from _walk(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield (*place, index), item, False
            yield from _walk(item, (*place, index))
