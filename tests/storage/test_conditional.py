"""Writes under a condition: what one process reads, no other overwrites unseen."""

from __future__ import annotations

import threading

import pytest

from graft.storage import conditional, files
from graft.storage.drivers import StorageError


@pytest.fixture(
    params=["s3", "gs", "memory", pytest.param("other_gs", marks=pytest.mark.large)]
)
def folder(request: pytest.FixtureRequest) -> str:
    """A folder of each kind of store that obeys conditions."""
    return str(request.getfixturevalue(f"{request.param}_folder"))


def test_an_object_is_created_once(folder: str) -> None:
    path = f"{folder}/object"
    assert conditional.read(path) == (None, None)
    assert conditional.write(path, b"first", None)
    assert not conditional.write(path, b"second", None)
    assert conditional.read(path)[0] == b"first"


def test_an_object_is_replaced_only_as_it_was_read(folder: str) -> None:
    path = f"{folder}/object"
    conditional.write(path, b"first", None)
    _, tag = conditional.read(path)
    assert conditional.write(path, b"second", tag)
    assert not conditional.write(path, b"third", tag)
    assert conditional.read(path)[0] == b"second"
    files.remove_file(path)
    assert not conditional.write(path, b"fourth", tag)


def test_a_write_whose_answer_was_lost_counts(folder: str) -> None:
    path = f"{folder}/object"
    assert conditional.write(path, b"mine", None)
    # The driver repeats the request, and the store refuses what it has taken before.
    assert conditional.write(path, b"mine", None)


def test_of_two_writers_none_loses_a_line(folder: str) -> None:
    path = f"{folder}/log"

    def append(name: str) -> None:
        for number in range(5):
            while True:
                text, tag = conditional.read(path)
                line = f"{name}{number}\n".encode()
                if conditional.write(path, (text or b"") + line, tag):
                    break

    writers = [threading.Thread(target=append, args=(name,)) for name in "abc"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    lines = files.read_text(path).splitlines()
    assert sorted(lines) == sorted(f"{name}{n}" for name in "abc" for n in range(5))


def test_it_is_tried_whether_a_store_obeys(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert conditional.is_honoured(folder)
    write = conditional.write

    def write_always(path: str, content: bytes, tag: str | None) -> bool:
        return write(path, content, conditional.read(path)[1])

    monkeypatch.setattr(conditional, "write", write_always)
    assert not conditional.is_honoured(f"{folder}/other")
    assert files.files_below(folder) == []


@pytest.mark.usefixtures("s3_folder")
def test_a_missing_bucket_is_no_refusal() -> None:
    with pytest.raises(StorageError):
        conditional.write("s3://no-such-bucket-of-graft/a", b"x", None)
