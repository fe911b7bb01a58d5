"""A file is used only if it holds rows, and those of its own namespace."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from graft.contract.errors import DataError
from graft.storage.content_store.rows_file import (
    RowsFileError,
    encode_rows,
    keys_of,
    read_rows,
)
from graft.storage.content_store.store import ContentStore, namespace_of
from graft.storage.content_store.store_upkeep import prune, summarise

ROW = np.dtype([("grey", np.float64), ("waves", np.int8, (3,)), ("edge", np.uint16)])
KEYS = [hashlib.sha256(bytes([number])).digest() for number in range(4)]
TYPES = {"numbers": None, "structure": ROW}


def rows_of(row_type: np.dtype | None, start: int = 0) -> np.ndarray:
    numbers = np.arange(start, start + 4, dtype=np.float32)
    if row_type is None:
        return np.stack([numbers, numbers + 0.5], axis=1)
    rows = np.zeros(4, row_type)
    rows["grey"] = numbers
    return rows


def open_store(folder: Path, row_type: np.dtype | None, part: str) -> ContentStore:
    return ContentStore(str(folder), {"engine": part}, row_type).open()


def files_in(store: ContentStore) -> list[Path]:
    return sorted(Path(store.namespace_folder).glob("*.arrow"))


@pytest.mark.parametrize("row_type", TYPES.values(), ids=TYPES.keys())
def test_a_file_of_another_namespace_is_set_aside(
    tmp_path: Path, row_type: np.dtype | None, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = (open_store(tmp_path, row_type, part) for part in "ab")
    one.put(KEYS, rows_of(row_type))
    (path,) = files_in(one)
    copied = shutil.copy(path, other.namespace_folder)
    by_name = {each.name: each for each in summarise(str(tmp_path))}
    assert by_name[other.namespace].num_damaged == 1
    assert by_name[one.namespace].num_damaged == 0
    with caplog.at_level(logging.WARNING):
        found = open_store(tmp_path, row_type, "b")
    assert len(found) == 0
    assert found.damaged == [copied]
    assert f"it is of namespace '{one.namespace}'" in caplog.text
    found.put(KEYS, rows_of(row_type, 9))
    np.testing.assert_array_equal(found.read(KEYS), rows_of(row_type, 9))
    np.testing.assert_array_equal(one.read(KEYS), rows_of(row_type))
    assert prune(str(tmp_path), 3600) == [f"{copied}.damaged"]


def arrow(schema: pa.Schema, columns: list[list[object]]) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(pa.table(columns, schema))
    return bytes(sink.getvalue())


def schema_of(namespace: str, key: pa.DataType, row: pa.DataType) -> pa.Schema:
    fields = [("key", key), ("feature", row)]
    return pa.schema(fields, {"graft.namespace": namespace})


KEY, FLOATS = pa.binary(32), pa.list_(pa.float32(), 2)
FORMAT_1 = pa.schema([("key", KEY), ("feature", FLOATS)])
JUNK: dict[str, Callable[[str], bytes]] = {
    "text": lambda _: b"no file of rows",
    "empty": lambda _: b"",
    "cut": lambda name: bytes(encode_rows(name, KEYS, rows_of(None)))[:-20],
    "other columns": lambda name: arrow(
        pa.schema([("a", pa.int8())], {"graft.namespace": name}), [[1]]
    ),
    "short keys": lambda name: arrow(
        schema_of(name, pa.binary(4), FLOATS), [[b"1234"], [[1.0, 2.0]]]
    ),
    "lists of any length": lambda name: arrow(
        schema_of(name, KEY, pa.list_(pa.float32())), [KEYS[:2], [[1.0], [1.0, 2.0]]]
    ),
    "texts": lambda name: arrow(schema_of(name, KEY, pa.string()), [KEYS[:1], ["x"]]),
    "no numbers": lambda name: arrow(
        schema_of(name, KEY, pa.list_(pa.float32(), 0)), [KEYS[:1], [[]]]
    ),
    "null keys": lambda name: arrow(
        schema_of(name, KEY, FLOATS), [[None], [[1.0, 2.0]]]
    ),
    "null rows": lambda name: arrow(schema_of(name, KEY, FLOATS), [KEYS[:1], [None]]),
    "null numbers": lambda name: arrow(
        schema_of(name, KEY, FLOATS), [KEYS[:1], [[1.0, None]]]
    ),
    "format 1": lambda _: arrow(FORMAT_1, [KEYS[:1], [[1.0, 2.0]]]),
}


@pytest.mark.parametrize("row_type", TYPES.values(), ids=TYPES.keys())
@pytest.mark.parametrize("junk", JUNK)
def test_junk_with_the_name_of_its_own_hash_is_set_aside(
    tmp_path: Path, junk: str, row_type: np.dtype | None
) -> None:
    store = open_store(tmp_path, row_type, "a")
    store.put(KEYS[2:], rows_of(row_type)[2:])
    content = JUNK[junk](store.namespace)
    name = f"{hashlib.sha256(content).hexdigest()}.arrow"
    path = Path(store.namespace_folder, name)
    path.write_bytes(content)
    for verify in (True, False):
        (summary,) = summarise(str(tmp_path), verify=verify)
        assert (summary.num_images, summary.num_damaged) == (2, 1)
    again = open_store(tmp_path, row_type, "a")
    assert again.damaged == [str(path)]
    assert not path.exists()
    assert path.with_name(f"{name}.damaged").is_file()
    assert len(again) == 2
    again.put(KEYS[:2], rows_of(row_type)[:2])
    np.testing.assert_array_equal(again.read(KEYS), rows_of(row_type))


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("row_type", TYPES.values(), ids=TYPES.keys())
def test_a_row_that_is_not_finite_is_computed_again(
    tmp_path: Path,
    row_type: np.dtype | None,
    number: float,
    caplog: pytest.LogCaptureFixture,
) -> None:
    rows = rows_of(row_type)
    if row_type is None:
        rows[1, 1] = number
    else:
        rows["grey"][1] = number
    open_store(tmp_path, row_type, "a").put(KEYS, rows)
    with caplog.at_level(logging.WARNING):
        again = open_store(tmp_path, row_type, "a")
    assert [key in again for key in KEYS] == [True, False, True, True]
    assert "1 of 4 rows" in caplog.text
    again.put(KEYS[1:2], rows_of(row_type)[1:2])
    again = open_store(tmp_path, row_type, "a")
    np.testing.assert_array_equal(again.read(KEYS), rows_of(row_type))


def test_rows_of_an_expected_length_are_used_alone(tmp_path: Path) -> None:
    open_store(tmp_path, None, "a").put(KEYS, rows_of(None))
    found = ContentStore(str(tmp_path), {"engine": "a"}, width=3).open()
    assert (len(found), len(found.damaged)) == (0, 1)


def test_files_with_rows_of_other_lengths_are_refused(tmp_path: Path) -> None:
    store = open_store(tmp_path, None, "a")
    store.put(KEYS[:2], rows_of(None)[:2])
    with pytest.raises(DataError, match="Received: 1 numbers in the new rows, 2 in"):
        store.put(KEYS[2:], rows_of(None)[2:, :1])
    content = encode_rows(store.namespace, KEYS[2:], rows_of(None)[2:, :1])
    name = f"{hashlib.sha256(content).hexdigest()}.arrow"
    Path(store.namespace_folder, name).write_bytes(content)
    with pytest.raises(DataError, match="must have rows of the same length"):
        open_store(tmp_path, None, "a")


def test_files_of_an_earlier_format_are_neither_read_nor_harmed(tmp_path: Path) -> None:
    old = tmp_path / namespace_of({"engine": "a"})
    old.mkdir()
    (old / "namespace.json").write_text(json.dumps({"engine": "a"}))
    content = JUNK["format 1"]("")
    (old / f"{hashlib.sha256(content).hexdigest()}.arrow").write_bytes(content)
    store = open_store(tmp_path, None, "a")
    assert store.namespace != old.name
    assert (len(store), store.damaged) == (0, [])
    by_name = {each.name: each for each in summarise(str(tmp_path))}
    assert by_name[old.name].num_damaged == 0
    assert by_name[old.name].num_images == 1


def test_what_is_no_file_of_rows_has_no_keys() -> None:
    with pytest.raises(RowsFileError):
        keys_of(b"text")
    content = encode_rows("name", KEYS, rows_of(None))
    assert keys_of(content) == ("name", KEYS)
    np.testing.assert_array_equal(read_rows(content, "name").numbers, rows_of(None))
