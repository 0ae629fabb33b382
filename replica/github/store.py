"""What the stand-in remembers, as documents by kind and number: killed, it goes on with what it had said."""

from __future__ import annotations

import json
import sqlite3
import threading
from pathlib import Path
from typing import Any, NamedTuple

Document = dict[str, Any]
_SCHEMA = """
CREATE TABLE IF NOT EXISTS documents (kind TEXT, id INTEGER, of INTEGER, body TEXT, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS documents_of ON documents (kind, of, id);
CREATE TABLE IF NOT EXISTS numbers (next INTEGER);
INSERT INTO numbers SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM numbers);
"""


class Page(NamedTuple):
    """Some documents, the newest first, and the number with which those after them begin."""

    documents: list[Document]
    following: int | None


class Store:
    """One file. Its methods may be called from any thread."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._db = sqlite3.connect(folder / "github.sqlite", check_same_thread=False, isolation_level=None)
        # Killed, nothing is lost by this; only a machine without power would lose some.
        self._db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {_SCHEMA}")

    def number(self) -> int:
        """One that nobody has had."""
        with self._lock:
            return int(self._db.execute("UPDATE numbers SET next = next + 1 RETURNING next").fetchone()[0])

    def put(self, kind: str, document: Document, of: int = 0) -> None:
        """Under its `id`, in place of what was there. *of*: the number of what it belongs to."""
        with self._lock:
            self._db.execute(
                "INSERT OR REPLACE INTO documents VALUES (?, ?, ?, ?)", (kind, document["id"], of, json.dumps(document))
            )

    def get(self, kind: str, number: int) -> Document | None:
        """None: there is none."""
        with self._lock:
            found = self._db.execute("SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, number)).fetchone()
        return json.loads(found[0]) if found else None

    def page(self, kind: str, size: int, of: int = 0, begin: int | None = None, skip: int = 0) -> Page:
        """*size* of them, from number *begin* on downwards."""
        with self._lock:
            rows = self._db.execute(
                "SELECT id, body FROM documents WHERE kind = ? AND of = ? AND id <= ? ORDER BY id DESC LIMIT ? OFFSET ?",
                (kind, of, begin or 2**62, size + 1, skip),
            ).fetchall()
        return Page([json.loads(body) for _, body in rows[:size]], rows[size][0] if len(rows) > size else None)
