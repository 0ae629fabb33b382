"""Which columns of an application's database are encrypted: a TOML file, one an application.

    [[table]]
    name = "customers"           # as its ciphertexts are bound to it
    row_id = ["id"]              # the primary key, in its order
    tenant = "tenant_id"
    golden = { plan = "free" }   # what a row needs beside the encrypted columns

    [[table.field]]
    column = "email"
    index = "email_index"        # its blind index

`relation` is the table's name in the database where that is another; `field` a column's name as its ciphertexts have it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from steward.keys.errors import ColumnsUnusable

_NAME = r"^[^\x00\"]{1,63}$"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EncryptedField(_Frozen):
    """A column of ciphertexts, and the one of their blind indexes where it is searched."""

    column: str = Field(pattern=_NAME)
    index: str | None = Field(default=None, pattern=_NAME)
    field: str = ""

    @property
    def bound_as(self) -> str:
        """The name that its ciphertexts are bound to."""
        return self.field or self.column


class EncryptedTable(_Frozen):
    """A table whose rows each belong to one tenant."""

    name: str = Field(min_length=1)
    relation: str = Field(default="", pattern=r"^[^\x00\"]{0,127}$", description="schema.table, or table")
    row_id: tuple[str, ...] = Field(min_length=1)
    tenant: str = Field(pattern=_NAME)
    golden: dict[str, str | int | bool] = {}
    fields: tuple[EncryptedField, ...] = Field(alias="field", min_length=1)

    @model_validator(mode="after")
    def _columns_once(self) -> Self:
        columns = self.columns
        if twice := sorted({column for column in columns if columns.count(column) > 1}):
            msg = f"table {self.name} names {', '.join(twice)} twice"
            raise ValueError(msg)
        return self

    @property
    def where(self) -> str:
        """The table's name in the database."""
        return self.relation or self.name

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that is named: row id, tenant, then each field with its index."""
        return (*self.row_id, self.tenant, *self.sealed_columns)

    @property
    def sealed_columns(self) -> tuple[str, ...]:
        """Ciphertexts and blind indexes, in the file's order."""
        return tuple(column for field in self.fields for column in (field.column, field.index) if column)


class EncryptedColumns(_Frozen):
    """Of one application."""

    tables: tuple[EncryptedTable, ...] = Field(alias="table", min_length=1)

    @model_validator(mode="after")
    def _tables_once(self) -> Self:
        names = [table.where for table in self.tables]
        if len(set(names)) != len(names):
            msg = "a table is described twice"
            raise ValueError(msg)
        return self


def load_columns(path: Path) -> EncryptedColumns:
    """The description in *path*. ColumnsUnusable names the file and the fault."""
    try:
        return EncryptedColumns.model_validate(tomllib.loads(path.read_text()))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ColumnsUnusable(
            f"cannot read encrypted columns {path}: {reason}", hint="see docs/key-rotation.md for what it holds"
        ) from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
        raise ColumnsUnusable(
            f"encrypted columns {path} are not usable: {faults}", hint="see docs/key-rotation.md for what it holds"
        ) from None
