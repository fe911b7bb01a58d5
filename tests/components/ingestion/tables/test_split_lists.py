"""Lists of splits beside class folders are told; other files are not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig

PATHS = [f"{label}/{label}{n}.jpg" for label in ("cat", "dog") for n in range(9)]
TRAIN = [path for path in PATHS if path[-5] < "6"]
TEST = [path for path in PATHS if path[-5] >= "6"]


def _names(paths: Sequence[str]) -> list[str]:
    return [path.partition("/")[2] for path in paths]


def _table(header: str, line: str) -> str:
    """Return a table of all images. The line has fields such as {path}."""
    rows = [
        line.format(
            path=path,
            name=path.partition("/")[2],
            stem=path.partition("/")[2][:-4],
            split="train" if path in TRAIN else "test",
            is_test=path in TEST,
            label=path[:3],
            n=n % 3,
        )
        for n, path in enumerate(PATHS)
    ]
    return "\n".join([header, *rows]) + "\n"


def _records(**more: object) -> list[dict[str, object]]:
    return [
        {"file_name": path, "split": "train" if path in TRAIN else "test", **more}
        for path in PATHS
    ]


LISTS = {
    "splits.csv": {"splits.csv": _table("path,split", "{path},{split}")},
    "without extension": {"meta.csv": _table("id;split", "{stem};{split}")},
    "a table with labels": {
        "labels.tsv": _table("path\tlabel\tset", "{path}\t{label}\t{split}")
    },
    "flags": {"meta.csv": _table("image,is_test", "{name},{is_test}")},
    "partition": {"list_eval_partition.csv": _table("id,partition", "{name},{n}")},
    "folds": {"esc.csv": _table("filename,fold,target", "{name},{n},{label}")},
    "a table for each": {
        "train.csv": "\n".join(["filename,label", *(f"{n},c" for n in _names(TRAIN))]),
        "test.csv": "\n".join(["filename,label", *(f"{n},c" for n in _names(TEST))]),
    },
    "half a table": {
        "Train.csv": "\n".join(["filename,label", *(f"{n},c" for n in _names(TRAIN))])
    },
    "lists": {
        "train_list.txt": "\n".join(TRAIN),
        "test_list.txt": "\n".join(f"{path} 0" for path in TEST),
    },
    "held-out lists": {
        "validation_list.txt": "\n".join(TEST[:3]),
        "testing_list.txt": "\n".join(TEST[3:]),
    },
    "absolute paths": {"meta/test.lst": "\n".join(f"/data/x/{p}" for p in TEST)},
    "without extension or folder": {
        "ImageSets/Main/val.txt": "\n".join(name[:-4] for name in _names(TEST))
    },
    "numbered lists": {"testlist01.txt": "\n".join(TEST)},
    "of numbers": {
        "train_test_split.txt": "\n".join(f"{n} {n % 2}" for n in range(1, 19))
    },
    "of MATLAB": {"test_ids.mat": "MATLAB 5.0"},
    "of NumPy": {"val_indices.npy": "NUMPY"},
    "splits.json": {"splits.json": json.dumps({"train": TRAIN, "test": TEST})},
    "tuples in JSON": {
        "split_a.json": json.dumps(
            {"train": [[p, 0, "x"] for p in TRAIN], "test": [[p, 0, "x"] for p in TEST]}
        )
    },
    "words in a list": {
        "split.txt": "".join(
            f"{path} {'train' if path in TRAIN else 'test'}\n" for path in PATHS
        )
    },
    "a column of another name": {"p.csv": _table("file,part", "{name},{split}")},
    "a column of another name beside labels": {
        "m.csv": _table("path,label,type", "{path},{label},{split}")
    },
    "Train/Test": {"meta.tsv": _table("path\tTrain/Test", "{path}\t{split}")},
    "held out": {"heldout_files.txt": "\n".join(TEST)},
    "folds in folders": {"folds/fold1.csv": "\n".join(["file", *PATHS[:5]])},
    "per class, as Pascal VOC": {
        "ImageSets/Main/cat_train.txt": "\n".join(f"{n[:-4]} 1" for n in _names(TRAIN))
    },
    "YAML": {"test_files.yaml": "- cat/cat1.jpg"},
    "a spreadsheet": {"train.xlsx": "PK"},
    "folds.json": {"folds.json": json.dumps({"a": TRAIN, "b": TEST})},
    "objects in JSON": {
        "captions.json": json.dumps({"images": _records(words=["a", "b", "c", "d"])})
    },
    "JSON lines": {"m.jsonl": "".join(json.dumps(each) + "\n" for each in _records())},
}

OTHERS = {
    "a table of all images": {"labels.csv": _table("path,label", "{path},{label}")},
    "a table of all images for training": {
        "train.csv": _table("path,label", "{path},{label}")
    },
    "a log": {"train_history.csv": "epoch,loss\n1,2.5\n2,1.5\n3,0.5\n"},
    "a config": {"train_config.json": json.dumps({"train": {"rate": 1}, "x": "cat"})},
    "results": {"test_results.txt": "accuracy 0.9\nloss 0.1\n"},
    "lists of classes": {"classes.txt": "cat\ndog\n", "labels.txt": "0 cat\n1 dog\n"},
    "not JSON": {"test.json": "{"},
    "blank": {"test.csv": "", "train.txt": "\n"},
    "a list of another split": {
        "a.json": json.dumps({"train": {"rate": "1"}, "files": PATHS[:2]})
    },
    "of other images": {"test.txt": "x/1.jpg\nx/2.jpg\n"},
    "documents": {"README.md": "test", "LICENSE.txt": "\n".join(PATHS)},
}


def _write(root: Path, files: dict[str, str]) -> DataConfig:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return DataConfig(path=str(root))


def _warnings(config: DataConfig) -> list[str]:
    return [each for each in list_images(config, "unused").warnings if "split" in each]


@pytest.mark.parametrize("lists", LISTS.values(), ids=LISTS)
def test_a_list_of_splits_is_named(tmp_path: Path, lists: dict[str, str]) -> None:
    config = _write(tmp_path, {**{path: path for path in PATHS}, **lists})
    (warning,) = _warnings(config)
    assert all(repr(name) in warning for name in lists)
    assert "not read: the images' content decides" in warning
    assert "a manifest with the columns path, label and split" in warning
    for fields in ({"format": "folders"}, {"class_pattern": "(?P<class>[^/]+)/.+"}):
        assert _warnings(DataConfig(path=str(tmp_path), **fields)) == [warning]


@pytest.mark.parametrize("files", OTHERS.values(), ids=OTHERS)
def test_other_files_are_not_told(tmp_path: Path, files: dict[str, str]) -> None:
    config = _write(tmp_path, {**{path: path for path in PATHS}, **files})
    assert not _warnings(config)


def test_the_images_of_each_split_are_counted(tmp_path: Path) -> None:
    config = _write(tmp_path, {**{p: p for p in PATHS}, **LISTS["splits.csv"]})
    assert "(12 train, 6 test)" in _warnings(config)[0]


@pytest.mark.parametrize("name", ["splits.csv", "splits.json", "lists", "JSON lines"])
def test_split_folders_that_a_list_contradicts(tmp_path: Path, name: str) -> None:
    images = {f"{s}/{p}": p for s, ps in (("train", TRAIN), ("test", TEST)) for p in ps}
    config = _write(tmp_path / "right", {**images, **LISTS[name]})
    assert not _warnings(config)
    moved = {f"train/{p}" if p in TEST[:2] else s: p for s, p in images.items()}
    config = _write(tmp_path / "wrong", {**moved, **LISTS[name]})
    (warning,) = _warnings(config)
    assert "gives 2 images another split than their folders" in warning
    assert "'train/cat/cat6.jpg' is in train, and by the list in test" in warning


def test_a_pattern_that_reads_the_splits_counts(tmp_path: Path) -> None:
    images = {f"{p[:3]}/{'test' if p in TEST else 'train'}/{p[4:]}": p for p in PATHS}
    _write(tmp_path, {**images, **LISTS["splits.csv"]})
    pattern = "(?P<class>[^/]+)/(?P<split>[^/]+)/.+"
    assert not _warnings(DataConfig(path=str(tmp_path), class_pattern=pattern))


def test_a_question_names_the_list(tmp_path: Path) -> None:
    images = {f"images/{path}": path for path in PATHS}
    config = _write(tmp_path, {**images, **LISTS["of numbers"]})
    with pytest.raises(Exception, match=r"'train_test_split.txt' seems to say the"):
        list_images(config, "unused")
