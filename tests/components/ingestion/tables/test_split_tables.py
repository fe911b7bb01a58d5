"""Label tables of splits are read completely, or an error names the bad line."""

from __future__ import annotations

from pathlib import Path

import pytest

from graft.components.ingestion.fingerprint import fingerprint
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.errors import DataError

TINY = {"format": "tiny_imagenet"}


def _write(root: Path, files: dict[str, str]) -> DataConfig:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return DataConfig(path=str(root))


def _tiny(root: Path, table: str, *more: str) -> DataConfig:
    names = [f"train/n{k}/images/n{k}_0.JPEG" for k in range(2)]
    files = {name: name for name in [*names, "val/images/a.JPEG", *more]}
    config = _write(root, {**files, "val/val_annotations.txt": table})
    return config.model_copy(update=TINY)


def _roboflow(root: Path, table: str | None) -> DataConfig:
    files = {f"{s}/{n}.jpg": s + n for s in ("train", "test") for n in "12"}
    files["test/_classes.csv"] = "filename,cat,dog\n1.jpg,1,0\n2.jpg,0,1\n"
    if table is not None:
        files["train/_classes.csv"] = table
    return _write(root, files).model_copy(update={"format": "roboflow"})


def _refused(config: DataConfig) -> str:
    with pytest.raises(DataError) as caught:
        list_images(config, "unused")
    return str(caught.value)


@pytest.mark.parametrize(
    "line", ["a.JPEG", "a.JPEG n0", "\tn0", "a.JPEG\t", "a.JPEG\t \t0", ""]
)
def test_a_line_without_a_file_or_a_class(tmp_path: Path, line: str) -> None:
    message = _refused(_tiny(tmp_path, f"a.JPEG\tn1\n{line}\n"))
    assert "line 2 must hold a file name, a tab and a class. Received: " in message
    assert repr(line) in message


def test_only_the_images_of_a_class_are_its_images(tmp_path: Path) -> None:
    others = [
        "train/n0/boxes/1.JPEG", "train/n0/images/crops/1.JPEG", "train/1.JPEG",
        "test/n0/images/1.JPEG",
    ]  # fmt: skip
    listing = list_images(_tiny(tmp_path, "a.JPEG\tn1\n", *others), "unused")
    assert {ref.name: ref.class_name for ref in listing.refs} == {
        "train/n0/images/n0_0.JPEG": "n0",
        "train/n1/images/n1_0.JPEG": "n1",
        "val/images/a.JPEG": "n1",
    }
    assert "Left aside: 4 images without a label in 'test', 'train'." in (
        listing.warnings
    )


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (None, "The label table '{root}/train/_classes.csv' is missing. Copy it there"),
        ("", "must name the file column and at least two classes, each once"),
        ("filename,cat\n1.jpg,1\n", "at least two classes, each once. Received: ["),
        ("filename,cat,cat\n1.jpg,1,0\n", "Received: ['filename', 'cat', 'cat']"),
        ("filename,cat,dog\n1.jpg,1,0,0\n", "line 2 must hold a file name, and a 0 or"),
        ('filename,cat,dog\n"1.jpg,1,0\n', "line 2: not valid CSV: "),
        ("filename,cat,dog\n1.jpg,2,0\n", "a 0 or 1 for each of 2 classes"),
    ],
)
def test_a_table_that_says_nothing_certain(
    tmp_path: Path, table: str | None, message: str
) -> None:
    config = _roboflow(tmp_path, table)
    assert message.format(root=tmp_path) in _refused(config)


def test_a_table_must_be_utf8(tmp_path: Path) -> None:
    config = _roboflow(tmp_path, "")
    (tmp_path / "train/_classes.csv").write_bytes(b"filename,cat,dog\n\xe4,1,0\n")
    assert "_classes.csv', line 2: not UTF-8 text: the byte 0xe4" in _refused(config)


def test_a_changed_table_changes_the_fingerprint(tmp_path: Path) -> None:
    config = _roboflow(tmp_path, "filename,cat,dog\n1.jpg,1,0\n2.jpg,0,1\n")
    before = fingerprint(config)
    assert fingerprint(config) == before
    table = tmp_path / "train/_classes.csv"
    table.write_text("filename,cat,dog\n1.jpg,0,1\n2.jpg,1,0\n3.jpg,1,0\n")
    assert fingerprint(config) != before


def test_images_in_the_column_unlabeled_have_no_label(tmp_path: Path) -> None:
    rows = ["filename, Unlabeled, cat, dog", "0.jpg, 1, 0, 0", "1.jpg, 0, 1, 0"]
    for split in ("train", "test"):
        (tmp_path / split).mkdir()
        for number in range(3):
            (tmp_path / split / f"{number}.jpg").touch()
        text = "\n".join([*rows, "2.jpg, 0, 0, 1"])
        (tmp_path / split / "_classes.csv").write_text(text)
    found = list_images(DataConfig(path=str(tmp_path)), "unused")
    assert {ref.class_name for ref in found.refs} == {"cat", "dog"}
    assert found.warnings == [
        "Left aside: 2 images without a label in 'test', 'train'."
    ]
