"""Where this package joins SQLAlchemy: once, when it is imported, for every mapper and every statement."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Mapper

from steward.fieldcrypt.sqlalchemy import statements
from steward.fieldcrypt.sqlalchemy.mapping import decrypting, fields_of
from steward.fieldcrypt.sqlalchemy.writing import Writing


def listen() -> None:
    """Safe to call again."""
    if not event.contains(Mapper, "mapper_configured", _equip):
        # When it is configured: the application's validators listen by then, and see plaintexts, not what follows.
        event.listen(Mapper, "mapper_configured", _equip)
        statements.watch()


def _equip(mapper: Mapper[Any], class_: type) -> None:
    fields = fields_of(mapper)
    if not fields:
        return
    for field in fields:
        decrypting(getattr(class_, field.key), field)
    writing = Writing(mapper, fields)
    event.listen(mapper, "before_insert", writing.before_insert, raw=True)
    event.listen(mapper, "before_update", writing.before_update, raw=True)
