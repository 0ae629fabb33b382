"""At the flush, when a row's primary key is known: encrypt what was assigned, or refuse before anything is written."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Column
from sqlalchemy.orm import InstanceState, Mapper
from sqlalchemy.orm.attributes import set_attribute

from steward.fieldcrypt.errors import TenantNotBound
from steward.fieldcrypt.process import bound_tenant
from steward.fieldcrypt.sqlalchemy.errors import MappingRefused, OtherTenant, RowIdChanged, RowIdUnknown
from steward.fieldcrypt.sqlalchemy.mapping import Field, row_id_of
from steward.fieldcrypt.sqlalchemy.stored import Pending


class Writing:
    """The mapper events of one class."""

    def __init__(self, mapper: Mapper[Any], fields: list[Field]) -> None:
        self._fields = fields
        self._keys: list[tuple[str, Any]] = [(mapper.get_property_by_column(c).key, c) for c in mapper.primary_key]
        self._tenant = _tenant_column(mapper)

    def before_insert(self, mapper: Mapper[Any], connection: object, state: InstanceState[Any]) -> None:
        """Every encrypted attribute that has a value, for the primary key that the row will have."""
        _ = mapper, connection
        # SQLAlchemy would apply these after the event.
        for key, column in [*self._tenant, *((field.key, field.column) for field in self._fields)]:
            _default(state, key, column)
        self._check_tenant(state)
        written = [field for field in self._fields if field.key in state.dict]
        if any(state.dict[field.key] is not None for field in written):
            self._know_row_id(state)
            _seal(state, written)

    def before_update(self, mapper: Mapper[Any], connection: object, state: InstanceState[Any]) -> None:
        """The attributes that were assigned since; primary key and tenant must be what they were."""
        _ = mapper, connection
        self._refuse_other_row(state)
        self._check_tenant(state)
        _seal(state, [field for field in self._fields if _changed(state, field.key)])

    def _check_tenant(self, state: InstanceState[Any]) -> None:
        for key, _column in self._tenant:
            tenant, bound = getattr(state.obj(), key), _bound_tenant_or_none()
            if bound not in {None, tenant} or (state.key and _changed(state, key)):
                raise OtherTenant(
                    f"a row of {state.mapper.local_table} has the {key} {tenant!r}, where tenant {bound!r} is bound",
                    hint="write it where its own tenant is bound; to move a row to another tenant, make a new one",
                )

    def _refuse_other_row(self, state: InstanceState[Any]) -> None:
        stored = state.key[1] if state.key else ()
        for (key, _), value in zip(self._keys, stored, strict=True):
            if state.dict.get(key, value) != value:
                raise RowIdChanged(
                    f"the primary key {key} of a stored row of {state.mapper.local_table} was changed",
                    hint="its encrypted fields are bound to it: make a new row, assign them there, and delete this one",
                )

    def _know_row_id(self, state: InstanceState[Any]) -> None:
        for key, column in self._keys:
            _default(state, key, column)
            _check_key(state.dict.get(key), column)


def _seal(state: InstanceState[Any], fields: Iterable[Field]) -> None:
    for field in fields:
        stored, index = state.dict.get(field.key), None
        if stored is not None:
            row_id = row_id_of(state)
            # A ciphertext came by a merge, or from a flush that was rolled back: it is taken if it belongs here.
            value: Any = stored.plaintext if isinstance(stored, Pending) else field.opened(stored, row_id)
            # Past the attribute's events: it is the value that was assigned, in another form.
            state.dict[field.key], index = field.sealed(value, row_id)
        if field.index_key:
            set_attribute(state.obj(), field.index_key, index)


def _changed(state: InstanceState[Any], key: str) -> bool:
    before = state.committed_state
    return key in before and state.dict.get(key) != before[key]


def _default(state: InstanceState[Any], key: str, column: Column[Any]) -> None:
    """Apply a default that is a value or a callable; one that needs the database is none that is known in time."""
    default: Any = column.default
    if state.dict.get(key) is not None or default is None:
        return
    if default.is_callable:
        set_attribute(state.obj(), key, default.arg(None))
    elif default.is_scalar:
        set_attribute(state.obj(), key, default.arg)


def _check_key(value: object, column: Column[Any]) -> None:
    if value is None:
        raise RowIdUnknown(
            f"the primary key {column} is not known before the row is written",
            hint="let the application make it: mapped_column(primary_key=True, default=uuid4), or assign it; a key "
            "that the database makes (serial, identity, sequence) comes too late to bind encrypted fields to",
        )
    expected = _python_type(column)
    if expected and not isinstance(value, expected):
        raise RowIdUnknown(
            f"the primary key {column} has a value of type {type(value).__name__}, which the database returns as "
            f"{expected.__name__}",
            hint="encrypted fields are bound to the key and its type: assign it as it will be read",
        )


def _python_type(column: Column[Any]) -> type | None:
    try:
        return column.type.python_type
    except NotImplementedError:
        return None


def _tenant_column(mapper: Mapper[Any]) -> list[tuple[str, Column[Any]]]:
    key: str | None = getattr(mapper.class_, "__encrypted_for__", None)
    if key is None:
        return []
    if key not in mapper.column_attrs:
        raise MappingRefused(
            f"{mapper.class_.__name__}.__encrypted_for__ names {key!r}, which is no mapped column of it",
            hint="name the attribute that holds the row's tenant",
        )
    return [(key, mapper.column_attrs[key].columns[0])]  # type: ignore[list-item]


def _bound_tenant_or_none() -> str | None:
    try:
        return bound_tenant()
    except TenantNotBound:
        return None
