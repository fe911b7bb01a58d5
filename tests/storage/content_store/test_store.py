"""The store of features: no stale, incomplete or lost feature."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from graft.pipeline.cli import app
from graft.storage import atomic, files
from graft.storage.content_store.store import ContentStore, namespace_of
from graft.storage.content_store.store_upkeep import prune, summarise

PARTS = {
    "preprocessing": "p",
    "backbone": "b",
    "preset": "efficientnet_lite0",
    "engine": "tensorflow-float32",
}


def _keys(count: int, start: int = 0) -> list[bytes]:
    return [
        hashlib.sha256(str(i).encode()).digest() for i in range(start, start + count)
    ]


def _values(count: int, start: int = 0) -> np.ndarray:
    rows = np.arange(start, start + count, dtype=np.float32)[:, None]
    return rows + np.arange(5, dtype=np.float32) / 10


@pytest.fixture
def store(tmp_path: Path) -> ContentStore:
    return ContentStore(str(tmp_path), PARTS).open()


def test_what_was_put_is_there_after_reopening(store):
    store.put(_keys(10), _values(10))
    store.put(_keys(7, start=10), _values(7, start=10))
    again = ContentStore(store.folder, PARTS).open()
    assert len(again) == 17
    for key, value in zip(_keys(17), _values(17), strict=True):
        np.testing.assert_array_equal(again.read([key])[0], value)
    assert _keys(1, start=99)[0] not in again
    with pytest.raises(KeyError):
        again.read(_keys(1, start=99))


ROW = np.dtype([("grey", np.float64), ("waves", np.int8, (3,)), ("edge", np.uint16)])


def test_rows_of_a_structured_type_come_back_unchanged(tmp_path):
    rows = np.zeros(5, ROW)
    rows["grey"] = np.arange(5) / 3
    rows["waves"] = np.arange(15).reshape(5, 3) - 7
    rows["edge"] = 65_535
    store = ContentStore(str(tmp_path), {"kind": "measurements"}, ROW).open()
    store.put(_keys(3), rows[:3])
    store.put(_keys(2, start=3), rows[3:])
    again = ContentStore(str(tmp_path), {"kind": "measurements"}, ROW).open()
    found = again.read(_keys(5)[::-1])
    assert found.dtype == ROW
    np.testing.assert_array_equal(found, rows[::-1])
    assert again.read([]).dtype == ROW


def test_the_command_tells_what_each_part_of_the_store_is(store):
    store.put(_keys(3), _values(3))
    for parts in (
        {"kind": "answers", "model": "ab" * 32, "way": "asked"},
        {"kind": "measurements", "code": "c"},
    ):
        ContentStore(store.folder, parts).open().put(_keys(2), _values(2))
    done = CliRunner().invoke(app, ["cache", "stats", store.folder])
    assert done.exit_code == 0, done.output
    assert "efficientnet_lite0, tensorflow-float32: 3 images" in done.output
    assert "answers of model abababababab, asked: 2 images" in done.output
    assert "measurements of images: 2 images" in done.output


@pytest.mark.parametrize("part", PARTS)
def test_a_change_of_any_part_is_another_namespace(store, part):
    store.put(_keys(3), _values(3))
    other = ContentStore(store.folder, {**PARTS, part: "changed"}).open()
    assert len(other) == 0


def test_the_order_of_the_parts_does_not_matter():
    assert namespace_of(PARTS) == namespace_of(dict(reversed(PARTS.items())))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied"])
def test_a_damaged_file_is_reported_and_never_read(store, damage):
    store.put(_keys(3), _values(3))
    (path,) = Path(store.namespace_folder).glob("*.arrow")
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "emptied":
        path.write_bytes(b"")
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    again = ContentStore(store.folder, PARTS).open()
    assert not again.which(_keys(3)).any()
    assert again.damaged == [str(path)]
    assert len(again) == 0
    assert os.listdir(store.namespace_folder).count(f"{path.name}.damaged") == 1
    again.put(_keys(3), _values(3))
    found = ContentStore(store.folder, PARTS).open()
    np.testing.assert_array_equal(found.read(_keys(3)), _values(3))


@pytest.mark.parametrize("way", ["find", "places", "lacking"])
def test_damage_costs_the_rows_of_the_damaged_file_only(store, way):
    store.put(_keys(3), _values(3))
    (path,) = Path(store.namespace_folder).glob("*.arrow")
    store.put(_keys(5, start=2), _values(5, start=2))
    content = bytearray(path.read_bytes())
    content[content.find(_values(3)[1].tobytes())] ^= 1
    path.write_bytes(content)
    again = ContentStore(store.folder, PARTS).open()
    keys = _keys(7)
    if way == "find":
        is_there, values = again.find(keys)
        assert is_there.tolist() == [False] * 2 + [True] * 5
        np.testing.assert_array_equal(values, _values(5, start=2))
    elif way == "places":
        with pytest.raises(KeyError):
            again.places(keys)
        assert path.name not in str(again.places(keys[2:]))
    else:
        assert again.lacking(keys) == set(keys[:2])
    assert again.damaged == [str(path)]


def test_a_file_is_verified_when_it_is_first_wanted_and_when_it_changes(
    store, monkeypatch
):
    for start in (0, 3):
        store.put(_keys(3, start), _values(3, start))
    read: list[str] = []
    read_bytes = files.read_bytes

    def recorded(path, *rest):
        read.append(Path(path).suffix)
        return read_bytes(path, *rest)

    monkeypatch.setattr(files, "read_bytes", recorded)
    again = ContentStore(store.folder, PARTS).open()
    assert read == [".index"] * 2
    for _ in range(2):
        np.testing.assert_array_equal(again.read(_keys(3)), _values(3))
    assert read == [".index"] * 2 + [".arrow"]
    path = Path(store.folder, again.places(_keys(1))[0][0])
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"x")
    assert not again.which(_keys(3)).any()
    assert again.damaged == [str(path)]
    assert again.which(_keys(6)).tolist() == [False] * 3 + [True] * 3


def test_a_file_that_somebody_removes_is_missed_and_no_damage(store):
    store.put(_keys(3), _values(3))
    again = ContentStore(store.folder, PARTS).open()
    (path,) = Path(store.namespace_folder).glob("*.arrow")
    path.unlink()
    assert again.lacking(_keys(3)) == set(_keys(3))
    assert again.damaged == []
    again.put(_keys(3), _values(3))
    np.testing.assert_array_equal(again.read(_keys(3)), _values(3))


def test_a_torn_write_is_never_seen(store):
    store.put(_keys(3), _values(3))
    (path,) = Path(store.namespace_folder).glob("*.arrow")
    path.with_name(path.name + ".1234.partial").write_bytes(b"half")
    assert len(ContentStore(store.folder, PARTS).open()) == 3


def test_writers_at_the_same_time_lose_nothing(store):
    def write(start: int) -> None:
        own = ContentStore(store.folder, PARTS).open()
        for offset in range(0, 50, 10):
            own.put(_keys(10, start + offset), _values(10, start + offset))

    threads = [threading.Thread(target=write, args=(start,)) for start in (0, 25, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.refresh()
    for key, value in zip(_keys(100), _values(100), strict=True):
        np.testing.assert_array_equal(store.read([key])[0], value)


def test_a_kill_leaves_whole_files_alone(tmp_path):
    program = (
        "import sys, numpy as np\n"
        "from graft.storage.content_store.store import ContentStore\n"
        f"store = ContentStore({str(tmp_path)!r}, {PARTS!r}).open()\n"
        "print('ready', flush=True)\n"
        "for i in range(10**6):\n"
        "    keys = [(i * 100 + j).to_bytes(32, 'big') for j in range(100)]\n"
        "    values = np.arange(i * 100, i * 100 + 100, dtype=np.float32)[:, None]\n"
        "    store.put(keys, np.repeat(values, 500, axis=1))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    namespace = Path(ContentStore(str(tmp_path), PARTS).namespace_folder)
    while not any(namespace.glob("*.arrow")):  # the first import of pandas takes long
        time.sleep(0.01)
    time.sleep(0.5)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = ContentStore(str(tmp_path), PARTS).open()
    assert store.damaged == []
    assert len(store) >= 100
    for number in range(len(store)):
        (value,) = store.read([number.to_bytes(32, "big")])
        np.testing.assert_array_equal(value, np.full(500, number, np.float32))


def test_the_summary_counts_and_verifies(store):
    store.put(_keys(4), _values(4))
    store.put(_keys(4), _values(4) + 1)
    store.put(_keys(2, start=8), _values(2, start=8))
    damaged = sorted(Path(store.namespace_folder).glob("*.arrow"))[0]
    damaged.write_bytes(b"x")
    (summary,) = summarise(store.folder)
    assert summary.parts == {**PARTS, "format": 2}
    assert summary.num_files == 3
    assert summary.num_damaged == 1
    assert summary.num_images in (4, 6)
    assert list(summarise(store.folder + "/nowhere")) == []
    (quick,) = summarise(store.folder, verify=False)
    assert quick == summary


def test_a_summary_without_verification_reads_the_keys_only(store):
    store.put(_keys(4), _values(4))
    (path,) = Path(store.namespace_folder).glob("*.arrow")
    content = bytearray(path.read_bytes())
    value = content.find(np.float32(_values(4)[1, 0]).tobytes())
    content[value] ^= 0xFF
    path.write_bytes(content)
    (quick,) = summarise(store.folder, verify=False)
    assert (quick.num_images, quick.num_damaged) == (4, 0)
    assert quick.num_bytes == len(content)
    (summary,) = summarise(store.folder)
    assert summary.num_damaged == 1


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "harm",
    [
        lambda path: path.write_bytes(b"\xff\x00"),
        lambda path: path.write_text(path.read_text()[:20]),
        lambda path: path.write_text(path.read_text().replace("lite0", "lite1")),
        lambda path: path.write_text("null"),
        lambda path: path.write_text("[1]"),
        lambda path: path.write_text("[" * 200_000),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
        lambda path: (path.unlink(), path.symlink_to(path.name)),
    ],
    ids="binary cut flipped null list nested folder pipe device loop".split(),
)
def test_a_damaged_namespace_is_told_pruned_and_written_again(store, harm):
    store.put(_keys(3), _values(3))
    readme = Path(store.namespace_folder) / "namespace.json"
    harm(readme)

    def verify():
        return CliRunner().invoke(app, ["cache", "verify", store.folder])

    done = verify()
    assert done.exit_code == 1, done.output
    assert "namespace.json is damaged" in done.output
    assert "3 images" in done.output
    assert prune(store.folder, unused_seconds=3600) == [str(readme)]
    done = verify()
    assert done.exit_code == 0, done.output
    assert "namespace.json is missing: the next run" in done.output
    harmed = Path(store.namespace_folder)
    assert prune(store.folder, unused_seconds=0) == []
    assert harmed.is_dir()
    assert len(ContentStore(store.folder, PARTS).open()) == 3
    (summary,) = summarise(store.folder)
    assert (summary.parts, summary.note) == ({**PARTS, "format": 2}, "")


@pytest.mark.parametrize("harm", ["cut", "a byte", "empty", "a folder"])
def test_a_damaged_graph_of_the_backbone_is_told_and_pruned(store, harm):
    store.put(_keys(3), _values(3))
    graph = Path(store.namespace_folder) / "openvino-2026.4.0-1-.zip"
    with zipfile.ZipFile(graph, "w") as archive:
        archive.writestr("backbone.bin", bytes(range(256)) * 40)
    content = graph.read_bytes()
    assert [each.num_damaged for each in summarise(store.folder)] == [0]
    assert prune(store.folder, 3600) == []
    if harm == "a folder":
        graph.unlink()
        graph.mkdir()
    else:
        changed = {
            "cut": content[:-100],
            "a byte": content[:500] + bytes([content[500] ^ 1]) + content[501:],
            "empty": b"",
        }
        graph.write_bytes(changed[harm])
    (summary,) = summarise(store.folder)
    assert summary.num_damaged == 1
    assert f"{graph.name} is damaged: `graft cache prune` removes it" in summary.note
    (quick,) = summarise(store.folder, verify=False)
    assert quick.num_damaged == 0
    assert prune(store.folder, 3600) == [str(graph)]
    assert [each.num_damaged for each in summarise(store.folder)] == [0]


def test_a_run_mends_a_folder_in_place_of_the_namespace_file(store):
    readme = Path(store.namespace_folder) / "namespace.json"
    readme.unlink()
    (readme / "inside").mkdir(parents=True)
    ContentStore(store.folder, PARTS).open()
    assert readme.is_file()


def test_prune_removes_what_no_run_needs_and_nothing_else(store):
    store.put(_keys(3), _values(3))
    folder = Path(store.namespace_folder)
    young, old = folder / "a.arrow.1.partial", folder / "b.arrow.2.partial"
    for path in (young, old, folder / "c.arrow.damaged"):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    unused = ContentStore(store.folder, {**PARTS, "engine": "old"}).open()
    os.utime(Path(unused.namespace_folder) / "namespace.json", (0, 0))
    removed = prune(store.folder, unused_seconds=3600)
    assert set(removed) == {
        str(old),
        str(folder / "c.arrow.damaged"),
        unused.namespace_folder,
    }
    assert young.exists()
    assert len(ContentStore(store.folder, PARTS).open()) == 3


# --- Object storage -------------------------------------------------------------------
@pytest.fixture
def remote(s3_folder: str) -> str:
    """A store in a bucket, which has no rename and no memory mapping."""
    return f"{s3_folder}/features [1]"


def test_a_store_behind_a_uri_keeps_what_was_put(remote):
    store = ContentStore(remote, PARTS).open()
    store.put(_keys(10), _values(10))
    store.put(_keys(7, start=10), _values(7, start=10))
    np.testing.assert_array_equal(store.read(_keys(17)), _values(17))
    again = ContentStore(remote, PARTS).open()
    np.testing.assert_array_equal(again.read(_keys(17)[::-1]), _values(17)[::-1])
    other = ContentStore(remote, {**PARTS, "engine": "other"}).open()
    assert len(other) == 0
    assert [summary.num_images for summary in summarise(remote)].count(17) == 1


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_object_is_never_read(remote, damage):
    store = ContentStore(remote, PARTS).open()
    store.put(_keys(3), _values(3))
    paths = files.files_below(store.namespace_folder)
    (path,) = (path for path in paths if path.endswith(".arrow"))
    content = bytearray(files.read_bytes(path))
    row = content.find(_values(3)[1].tobytes())
    content[row] ^= 1
    atomic.write_bytes(path, bytes(content[:row] if damage == "cut" else content))
    again = ContentStore(remote, PARTS).open()
    is_there, values = again.find(_keys(3))
    assert (is_there.any(), len(values), again.damaged) == (False, 0, [path])
    assert files.exists(f"{path}.damaged")
    again.put(_keys(3), _values(3))
    found = ContentStore(remote, PARTS).open()
    np.testing.assert_array_equal(found.read(_keys(3)), _values(3))


def test_an_object_that_another_run_set_aside_is_no_damage(remote, monkeypatch):
    store = ContentStore(remote, PARTS).open()
    gone = f"{'0' * 64}.arrow"
    listed = files.list_folder
    monkeypatch.setattr(files, "list_folder", lambda path: [*listed(path), gone])
    store.refresh()
    assert store.damaged == []


def test_of_a_remote_file_the_wanted_rows_are_read_alone(remote, monkeypatch):
    store = ContentStore(remote, PARTS).open()
    values = np.random.default_rng(0).normal(size=(300, 1000)).astype(np.float32)
    store.put(_keys(300), values)
    lengths: list[int] = []
    read_bytes = files.read_bytes

    def recorded(path, *rest):
        content = read_bytes(path, *rest)
        if path.endswith(".arrow"):
            lengths.append(len(content))
        return content

    monkeypatch.setattr(files, "read_bytes", recorded)
    again = ContentStore(remote, PARTS).open()
    assert again.which(_keys(300)).all()
    assert lengths == []
    for rows in ([7], [299, 0, 7], [4, 5, 4, 9], range(300)):
        wanted = [_keys(300)[row] for row in rows]
        np.testing.assert_array_equal(again.read(wanted), values[list(rows)])
    assert lengths == [4000, 4000 * 8, 4000, 4000 * 6, 4000 * 300]


def test_features_of_fifty_thousand_images_are_read_in_seconds(store):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((1000, 1280)).astype(np.float32)
    for start in range(0, 50_000, 1000):
        store.put(_keys(1000, start), values)
    begin = time.process_time()
    again = ContentStore(store.folder, PARTS).open()
    keys = _keys(50_000)
    for start in range(0, 50_000, 1000):
        again.read(keys[start : start + 1000])
    # 256 MB, read twice: once to verify it.
    assert time.process_time() - begin < 10
