from __future__ import annotations

import gzip

import pytest

from graft.storage import files, tfrecords
from graft.storage.paths import join

RECORDS = [b"one", b"", bytes(range(256)) * 10]


@pytest.mark.parametrize("name", ["a [1].tfrecord", "b#%20.tfrecord.gz", "data"])
def test_records_are_read_as_they_were_written(folder: str, name: str) -> None:
    path = join(folder, name)
    with tfrecords.writer(path) as writer:
        for record in RECORDS:
            writer.write(record)
    assert list(tfrecords.read(path)) == RECORDS
    assert list(tfrecords.dataset([path, path]).as_numpy_iterator()) == RECORDS * 2
    content = files.read_bytes(path)
    is_compressed = content[:2] == b"\x1f\x8b"
    assert is_compressed == name.endswith(".gz")
    plain = gzip.decompress(content) if is_compressed else content
    assert b"one" in plain


def test_files_with_and_without_compression_make_one_dataset(folder: str) -> None:
    paths = [join(folder, name) for name in ("a.gz", "b")]
    for path in paths:
        with tfrecords.writer(path) as writer:
            writer.write(path.encode())
    found = list(tfrecords.dataset(paths).as_numpy_iterator())
    assert found == [path.encode() for path in paths]
    assert list(tfrecords.dataset([]).as_numpy_iterator()) == []


def test_a_file_that_was_not_finished_does_not_appear(folder: str) -> None:
    path = join(folder, "a")

    def fail() -> None:
        with tfrecords.writer(path) as writer:
            writer.write(b"one")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert files.files_below(folder) == []
