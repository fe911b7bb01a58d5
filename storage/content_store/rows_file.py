"""The format of one file of a content store: rows of images, of one namespace.

The file tells its namespace in the metadata of its schema. So its hash, which is its
name, covers the namespace too, and a file in the wrong folder is noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

KEY_BYTES = 32
_KEY, _ROW = "key", "feature"
_NAMESPACE = b"graft.namespace"


class RowsFileError(ValueError):
    """The content is no file of rows, or one of another namespace."""


@dataclass(frozen=True)
class Rows:
    """The rows of a file.

    Attributes:
        keys: SHA-256 of each image, 32 bytes.
        numbers: float32 or uint8 (rows, numbers of a row), a view of the content.
        position: Where the first row begins in the content, if the rows lie there one
            after the other; -1 if they don't.
    """

    keys: list[bytes]
    numbers: np.ndarray
    position: int

    def usable(self, row_type: np.dtype | None) -> np.ndarray:
        """Return which rows hold finite numbers only, bool (rows,).

        Args:
            row_type: Structured type of a row; None if a row is its numbers.
        """
        rows = self.numbers
        if row_type is not None:
            rows = np.ascontiguousarray(rows).view(row_type)[:, 0]
        return _finite(rows)


def encode_rows(
    namespace: str, keys: Sequence[bytes], numbers: np.ndarray
) -> memoryview:
    """Return the content of a file.

    Args:
        namespace: Name of the namespace.
        keys: SHA-256 of each image, 32 bytes.
        numbers: float32 or uint8 (len(keys), numbers of a row).
    """
    flat = pa.array(numbers.ravel())
    table = pa.table(
        {
            _KEY: pa.array(list(keys), pa.binary(KEY_BYTES)),
            _ROW: pa.FixedSizeListArray.from_arrays(flat, numbers.shape[1]),
        }
    ).replace_schema_metadata({_NAMESPACE: namespace})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def read_rows(
    content: bytes | memoryview, namespace: str, row_type: np.dtype | None = None
) -> Rows:
    """Read and check the content of a file.

    Args:
        content: The bytes.
        namespace: Name of the namespace that the rows must be of.
        row_type: Structured type of a row; None for a row of float32 numbers.

    Raises:
        RowsFileError: It is no file of rows, or one of another namespace or type.
    """
    buffer = pa.py_buffer(content)
    table = _read_table(buffer)
    found = _namespace_in(table.schema)
    if found != namespace:
        named = "no namespace" if found is None else f"namespace {found!r}"
        raise RowsFileError(f"it is of {named}")
    row = table.schema.field(_ROW).type
    if row_type is None:
        fits = row.value_type == pa.float32()
    else:
        fits = row == pa.list_(pa.uint8(), row_type.itemsize)
    if not fits:
        raise RowsFileError(f"its rows are {row}")
    numbers = _numbers_of(table)
    position = numbers.ctypes.data - buffer.address
    is_inside = 0 <= position <= buffer.size - numbers.nbytes
    keys = table.column(_KEY).to_pylist()
    return Rows(keys, numbers, position if is_inside else -1)


def view_rows(source: pa.NativeFile) -> np.ndarray:
    """View the numbers of an open file that `read_rows` has accepted."""
    return _numbers_of(pa.ipc.open_file(source).read_all())


def view_keys_and_rows(source: pa.NativeFile) -> tuple[np.ndarray, np.ndarray]:
    """View the keys of such a file, uint8 (rows, 32), and the numbers of its rows."""
    table = pa.ipc.open_file(source).read_all()
    keys = table.column(_KEY).combine_chunks()
    stored = np.frombuffer(keys.buffers()[1], np.uint8)[keys.offset * KEY_BYTES :]
    stored = stored[: len(keys) * KEY_BYTES]
    return stored.reshape(-1, KEY_BYTES), _numbers_of(table)


def keys_of(content: bytes | memoryview) -> tuple[str | None, list[bytes]]:
    """Return the namespace that a file tells, and the keys of its rows, in order.

    Raises:
        RowsFileError: It is no file of rows.
    """
    table = _read_table(pa.py_buffer(content))
    return _namespace_in(table.schema), table.column(_KEY).to_pylist()


def _read_table(content: pa.Buffer) -> pa.Table:
    """Read a table that has keys, and rows of the same number of bytes."""
    try:
        table = pa.ipc.open_file(content).read_all()
        table.validate(full=True)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise RowsFileError(f"it is no Arrow file: {error}") from error
    schema = table.schema
    if (
        schema.names != [_KEY, _ROW]
        or schema.types[0] != pa.binary(KEY_BYTES)
        or not pa.types.is_fixed_size_list(schema.types[1])
        or schema.types[1].value_type not in (pa.float32(), pa.uint8())
        or not schema.types[1].list_size
    ):
        raise RowsFileError(f"its columns are {schema.remove_metadata()}")
    keys, rows = table.columns
    parts = [keys, rows, *(chunk.flatten() for chunk in rows.chunks)]
    if any(part.null_count for part in parts):
        raise RowsFileError("it has rows without numbers")
    return table


def _namespace_in(schema: pa.Schema) -> str | None:
    found = (schema.metadata or {}).get(_NAMESPACE)
    return None if found is None else found.decode(errors="replace")


def _numbers_of(table: pa.Table) -> np.ndarray:
    column = table.column(_ROW)
    # `combine_chunks` would copy the only chunk.
    rows = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    numbers: np.ndarray = rows.flatten().to_numpy(zero_copy_only=True)
    return numbers.reshape(len(rows), rows.type.list_size)


def _finite(rows: np.ndarray) -> np.ndarray:
    """Return which rows hold no NaN and no infinity, bool (N,)."""
    if rows.dtype.names:
        parts = [_finite(rows[name]) for name in rows.dtype.names]
        together: np.ndarray = np.logical_and.reduce(parts)
        return together
    if rows.dtype.kind != "f":
        return np.ones(len(rows), np.bool_)
    are: np.ndarray = np.isfinite(rows).reshape(len(rows), -1).all(axis=1)
    return are
