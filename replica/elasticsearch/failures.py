"""Why a node did not start, in one sentence: Java's chain of causes read for the person who waits."""

from __future__ import annotations

import re
from collections.abc import Sequence

_HINTS: tuple[tuple[str, str], ...] = (
    (
        r"No space left on device|File too large|Disk quota exceeded",
        "the disk takes no more: free some space (df -h, quota)",
    ),
    (r"Bind(Http|Transport)?Exception|Address already in use", "the port is taken: end the process that listens there"),
    (r"failed to obtain node locks", "another process uses this data folder: end it"),
    (r"AccessDenied|Permission denied", "the file is closed to this user: check its owner and mode"),
    (r"SslConfigException|CertificateException", "the certificates do not fit: remove them, they are made anew"),
    (r"unknown setting|SettingsException|Failed to parse value", "mend elasticsearch.yml in the node's config folder"),
    (
        r"CorruptStateException|CorruptIndexException",
        "the data folder is damaged: remove it, a replica can be made anew",
    ),
)


def explain(chain: Sequence[str]) -> tuple[str, str]:
    """(fact, hint) from `Class: message` texts, outermost first: the innermost cause that has a hint, else the last."""
    for text in reversed(chain):
        for pattern, hint in _HINTS:
            if re.search(pattern, text):
                return _one_line(text), hint
    return _one_line(chain[-1]), "see the lines above"


def _one_line(text: str) -> str:
    return " ".join(text.split())
