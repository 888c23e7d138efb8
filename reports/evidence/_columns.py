"""Tables of the evidence: columns that carry their unit and meaning, as the lake's do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa

TIME: Final = pa.timestamp("us", tz="UTC")


def field(name: str, kind: pa.DataType, unit: str, description: str) -> pa.Field:
    """Return a column with its unit and meaning."""
    return pa.field(name, kind, metadata={"unit": unit, "description": description})


def table_of(fields: Sequence[pa.Field], columns: Sequence[Any]) -> pa.Table:
    """Return a table; NaN becomes null, and whole numbers become times where the field is one."""
    arrays = [
        pa.array(column, from_pandas=True).cast(column_field.type)
        for column_field, column in zip(fields, columns, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))
