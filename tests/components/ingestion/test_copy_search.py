"""The search for copies on Beam against one in a list, and in shards of any number."""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from graft.components.ingestion.copy_search import findings_from
from graft.components.ingestion.deduplication import CopyFindings
from graft.components.ingestion.ingest import OutputFolders, ingest
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.errors import DataError

Make = Callable[..., Any]
TWO_WORKERS = ("--direct_running_mode=multi_threading", "--direct_num_workers=2")
CLASSES = ("ant", "bee", "cat", "dog")


def _write_tree(root: Path, seed: int, make_image: Make) -> dict[str, bytes]:
    """Write a tree in which one file in seven is a copy; return its files."""
    draw = random.Random(seed)
    contents = [make_image(seed * 1000 + i, (6, 7))[:70] for i in range(3)]
    contents += [b"no image", b""]
    files: dict[str, bytes] = {}
    for split in ("train", "test", "valid")[: 3 * (seed % 2)] or ("",):
        for name in CLASSES:
            for number in range(draw.choice([25, 40])):
                path = root / split / name / f"{draw.randrange(10**6)}-{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                if draw.random() < 0.85:
                    contents.append(make_image(seed * 1000 + len(contents), (6, 7)))
                    path.write_bytes(contents[-1])
                else:
                    path.write_bytes(draw.choice(contents))
                files[path.relative_to(root).as_posix()] = path.read_bytes()
    return files


def _fields(seed: int, policy: str) -> dict[str, Any]:
    return {
        "format": "pre_split" if seed % 2 else "folders",
        "duplicate_label_policy": policy,
        "max_bad_fraction": 0.9,
        "min_images_per_class": 1,
    }


def _split_of(name: str) -> str:
    """Return the given split of a file; "" without one."""
    return name.split("/", maxsplit=1)[0] if name.count("/") == 2 else ""


def _expected(files: dict[str, bytes], policy: str) -> dict[str, Any]:
    """Choose among copies as a plain program does that holds all names."""
    by_content: dict[bytes, list[str]] = defaultdict(list)
    for name, content in files.items():
        if content.startswith(b"\x89PNG"):
            by_content[content].append(name)
    rank = ["test", "valid", "train", ""]
    gone, copies = set(), Counter[str]()
    for content, names in by_content.items():
        names.sort(key=lambda name: (rank.index(_split_of(name)), name))
        by_label: dict[str, str] = {}
        for name in names:
            by_label.setdefault(name.split("/")[-2], name)
        kind = "duplicate"
        kept = set(by_label.values())
        if len(by_label) > 1:
            kind = "label_conflict"
            kept = kept if policy == "keep" else set()
        elif len({_split_of(name) for name in names}) > 1:
            kind = "leak"
        is_bad = kept and len(content) == 70
        if not is_bad:
            gone |= set(names) - kept
            copies[kind] += len(names) - len(kept)
    bad = {
        name
        for name, content in files.items()
        if name not in gone and (len(content) == 70 or content[:4] != b"\x89PNG")
    }
    return {
        "written": set(files) - gone - bad,
        "bad": bad,
        "copies": +copies,
    }


@pytest.mark.parametrize("policy", ["drop", "keep"])
@pytest.mark.parametrize("seed", range(4))
def test_copies_are_those_that_a_list_gives(
    seed: int, policy: str, tmp_path: Path, make_image: Make, run_ingestion: Make
):
    files = _write_tree(tmp_path / "tree", seed, make_image)
    found = run_ingestion(
        tmp_path / "tree", min_shards=1 + seed, **_fields(seed, policy)
    )
    expected = _expected(files, policy)
    splits = found.splits_by_name()
    assert set(splits) == expected["written"]
    assert {each["filename"] for each in found.lines("quarantine.jsonl")} == (
        expected["bad"]
    )
    copies = Counter({k: n for k, n in found.summary["copies"].items() if n})
    assert copies == Counter({k: n for k, n in expected["copies"].items() if n})
    groups = found.lines("duplicates.jsonl")
    hashes = [group["content_hash"] for group in groups]
    assert hashes == sorted(set(hashes))
    # All copies of an image are in one split, whatever their labels.
    split_of = defaultdict(set)
    for name, split in splits.items():
        split_of[files[name]].add(split)
    assert all(len(each) == 1 for each in split_of.values())
    assert found.summary["num_listed"] == len(files)


@pytest.mark.parametrize("seed", range(10, 13))
def test_shards_and_workers_change_nothing(seed: int, tmp_path: Path, make_image: Make):
    """Rare classes are filled here, too: each class has few images."""
    _write_tree(tmp_path / "tree", seed, make_image)
    config = DataConfig(path=str(tmp_path / "tree"), **_fields(seed, "keep"))
    found = [
        _content_of(config, tmp_path / f"{number}", number, arguments)
        for number, arguments in ((1, ()), (5, ()), (7, TWO_WORKERS))
    ]
    assert found[0] == found[1] == found[2]


def _content_of(
    config: DataConfig, folder: Path, min_shards: int, arguments: tuple[str, ...]
) -> dict[str, Any]:
    """Ingest; return the records of each split in order, and the other files."""
    outputs = OutputFolders(*(str(folder / kind) for kind in OutputFolders._fields))
    ingest(
        config,
        outputs,
        lambda: beam.Pipeline(options=PipelineOptions(list(arguments))),
        min_shards,
    )
    content: dict[str, Any] = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            key = path.relative_to(folder).as_posix().split("/data_tfrecord")[0]
            content[key] += (
                _records(path) if "tfrecord" in path.name else [path.read_bytes()]
            )
    return dict(content)


def _records(path: Path) -> list[bytes]:
    import tensorflow as tf

    return list(tf.data.TFRecordDataset(str(path)).as_numpy_iterator())


def test_a_refused_conflict_writes_no_image(
    run_ingestion: Make, photos: Path, tmp_path: Path
):
    content = (photos / "cat" / "000.png").read_bytes()
    (photos / "dog" / "cat.png").write_bytes(content)
    with pytest.raises(DataError, match=r"'cat/000\.png' = 'dog/cat\.png'"):
        run_ingestion(photos, min_shards=3)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_one_job_does_it_all(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A job on a cluster takes its time, however little there is to do."""
    (photos / "cat" / "copy.png").write_bytes((photos / "cat/000.png").read_bytes())
    (photos / "cat" / "cut.png").write_bytes((photos / "cat/001.png").read_bytes()[:70])
    for number in range(4):
        (photos / f"rare{number}").mkdir()
        for each in range(3):
            source = photos / "dog" / f"{number * 3 + each:03d}.png"
            source.rename(photos / f"rare{number}" / source.name)
    pipelines = []

    def make_pipeline() -> beam.Pipeline:
        pipelines.append(beam.Pipeline())
        return pipelines[-1]

    outputs = OutputFolders(*(str(tmp_path / kind) for kind in OutputFolders._fields))
    config = DataConfig(path=str(photos), format="folders", min_images_per_class=3)
    summary = ingest(config, outputs, make_pipeline)
    assert (summary.copies, summary.num_quarantined) == ({"duplicate": 1}, 1)
    assert any("Moved to fill it" in warning for warning in summary.warnings)
    assert len(pipelines) == 1


def test_findings_pass_as_json():
    found = CopyFindings(
        Counter(cat=2), Counter(dog=-1), Counter(leak=1), [("leak", "00", "a = b")]
    )
    assert findings_from(json.dumps(found).encode()) == found
