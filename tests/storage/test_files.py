"""Files of every scheme behave alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from graft.storage import atomic, copying, files, hashing
from graft.storage.paths import join

NAMES = [
    "plain.png",
    "brackets [1].png",
    "star*.png",
    "question?.png",
    "percent%20%2F.png",
    "hash#1.png",
    "a+b&c=d.png",
    "ünï 日本.png",
    "quote'\".png",
    "dot.",
]


@pytest.mark.parametrize("name", NAMES)
def test_every_operation_takes_every_name_literally(folder: str, name: str) -> None:
    path = join(folder, f"[0-9]*{name}", name)
    decoy = join(folder, "decoy.png")
    atomic.write_bytes(decoy, b"decoy")
    atomic.write_bytes(path, b"0123456789")
    assert files.exists(path)
    assert files.is_file(path)
    assert not files.is_folder(path)
    assert files.size_of(path) == 10
    assert files.modified_at(path) > 1e9
    assert files.read_bytes(path) == b"0123456789"
    assert files.read_bytes(path, 3, 4) == b"3456"
    assert files.read_bytes(path, 3) == b"3456789"
    assert files.read_bytes(path, 3, 0) == b""
    with files.open_for_reading(path) as file:
        file.seek(8)
        assert file.read() == b"89"
    with files.local_copy(path) as local, open(local, "rb") as file:
        assert file.read() == b"0123456789"
    assert files.list_folder(join(folder, f"[0-9]*{name}")) == [name]
    assert files.files_below(folder) == sorted([decoy, path])
    copying.move_file(path, path + ".moved")
    assert not files.exists(path)
    copying.copy_file(path + ".moved", path)
    assert files.read_bytes(path) == b"0123456789"
    files.remove_file(path + ".moved")
    files.remove_folder(join(folder, f"[0-9]*{name}"))
    assert files.files_below(folder) == [decoy]


def test_a_folder_is_there_with_its_files(folder: str) -> None:
    inner = join(folder, "a", "b")
    assert not files.exists(inner)
    files.make_folder(inner)
    atomic.write_text(join(inner, "ü.txt"), "größe\n")
    assert files.read_text(join(inner, "ü.txt")) == "größe\n"
    assert files.exists(join(folder, "a"))
    assert files.is_folder(join(folder, "a"))
    assert files.is_folder(join(folder, "a") + "/")
    assert not files.is_file(join(folder, "a"))
    assert files.list_folder(folder) == ["a"]
    files.remove_folder(join(folder, "a"))
    assert not files.exists(inner)
    files.remove_folder(join(folder, "a"))  # a missing one is not an error


def test_a_missing_file_has_one_error(folder: str) -> None:
    path = join(folder, "missing")
    for call in (
        files.read_bytes,
        files.read_text,
        files.size_of,
        files.modified_at,
        files.list_folder,
        files.open_for_reading,
        hashing.hash_file,
    ):
        with pytest.raises(FileNotFoundError) as caught:
            call(path)
        assert caught.value.filename == path
    with pytest.raises(FileNotFoundError):
        copying.copy_file(path, join(folder, "copy"))
    with pytest.raises(FileNotFoundError):
        copying.move_file(path, join(folder, "moved"))
    assert files.files_below(folder) == []


def test_files_go_from_scheme_to_scheme(
    tmp_path, memory_folder: str, s3_folder: str
) -> None:
    local = str(tmp_path / "a [b]")
    atomic.write_bytes(join(local, "x.bin"), bytes(range(256)) * 100)
    atomic.write_bytes(join(local, "deep", "y.bin"), b"")
    copying.copy_folder(local, s3_folder)
    copying.copy_folder(s3_folder, memory_folder)
    copying.copy_folder(memory_folder + "/", str(tmp_path / "back"))
    hashes = {
        hashing.hash_file(join(root, "x.bin"))
        for root in (local, s3_folder, memory_folder, str(tmp_path / "back"))
    }
    assert len(hashes) == 1
    assert (tmp_path / "back" / "deep" / "y.bin").read_bytes() == b""


def test_an_object_that_stands_for_a_folder_is_no_file(s3_folder: str) -> None:
    import boto3

    bucket = s3_folder.split("/")[2]
    client = boto3.client("s3")
    client.put_object(Bucket=bucket, Key="folder/a/", Body=b"")
    client.put_object(Bucket=bucket, Key="folder/a/x", Body=b"1")
    assert files.list_folder(s3_folder) == ["a"]
    assert files.list_folder(f"{s3_folder}/a") == ["x"]
    assert files.files_below(s3_folder) == [f"{s3_folder}/a/x"]
    files.remove_folder(s3_folder)
    assert not client.list_objects_v2(Bucket=bucket).get("Contents")


def test_more_files_than_a_page_of_names(s3_folder: str) -> None:
    from moto.s3.models import s3_backends

    bucket = s3_folder.split("/")[2]
    backend = s3_backends["123456789012"]["aws"]
    for number in range(1005):  # not by requests, which would be slow
        backend.put_object(bucket, f"folder/{number:04d}", b"")
    assert len(files.list_folder(s3_folder)) == 1005
    assert len(files.files_below(s3_folder)) == 1005


def test_importing_the_layer_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from graft.storage import atomic, copying, files, hashing, listing\n"
        "from graft.storage import tfrecords\n"
        "files.exists('/'), tfrecords.compression_of('a.gz')\n"
        "heavy = {'tensorflow', 'tfx', 'apache_beam', 'fsspec', 'numpy', 'asyncio'}\n"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_only_regular_files_are_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.mkdir()
    for read in (files.read_bytes, files.read_small_text, hashing.hash_file):
        with pytest.raises(OSError, match=r"Not a regular file|Is a directory"):
            read(str(path))
    with pytest.raises(OSError, match=r"Not a regular file|Is a directory"):
        copying.copy_file(str(path), str(tmp_path / "copy"))


def test_a_small_text_has_a_limit(folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = join(folder, "small.json")
    atomic.write_text(path, "€" * 8)
    monkeypatch.setattr(files, "_SMALL_BYTES", 24)
    assert files.read_small_text(path) == "€" * 8
    monkeypatch.setattr(files, "_SMALL_BYTES", 23)
    with pytest.raises(OSError, match="Is larger than"):
        files.read_small_text(path)


def test_a_folder_has_a_hash_for_each_file(folder: str) -> None:
    for name in ("b", "a/c"):
        atomic.write_text(join(folder, name), name)
    assert hashing.hash_folder(folder) == {
        "a/c": hashing.hash_bytes(b"a/c"),
        "b": hashing.hash_bytes(b"b"),
    }
