"""A file has one label, whichever lines of a manifest name it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from graft.components.ingestion.fingerprint import fingerprint
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.tables.manifests import read_manifest
from graft.contract.errors import DataError
from graft.contract.split_names import SPLITS
from graft.storage import atomic

CSV = "path,label\na.png,cat\nb.png,dog\n./a.png,dog\n"
JSONL = (
    '{"path": "a.png", "label": 1}\n{"path": "b.png", "label": 2}\n\n'
    '{"path": "a.png", "label": 2}\n'
)


def _labels(folder: Path, kind: str, content: str, **fields: Any) -> list[str]:
    path = folder / f"list.{kind}"
    path.write_text(content)
    config = DataConfig(path=str(path), **fields)
    return [entry.label for entry in read_manifest(str(path), kind, config).entries]


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("csv", CSV, "lines 2 and 4 give './a.png' two labels. Received: 'cat' and"),
        (
            "jsonl",
            JSONL,
            "lines 1 and 4 give 'a.png' two labels. Received: '1' and",
        ),
    ],
)
def test_two_labels_of_one_file_stop_before_the_run(
    tmp_path: Path, kind: str, content: str, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        _labels(tmp_path, kind, content)
    assert message in str(caught.value)
    assert "Delete one of the lines, or set `duplicate_label_policy`" in str(
        caught.value
    )
    with pytest.raises(DataError, match="two labels"):
        fingerprint(DataConfig(path=str(tmp_path / f"list.{kind}")))


@pytest.mark.parametrize("policy", ["keep", "drop"])
def test_the_policy_allows_two_labels(tmp_path: Path, policy: str) -> None:
    labels = _labels(tmp_path, "csv", CSV, duplicate_label_policy=policy)
    assert labels == ["cat", "dog", "dog"]


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [
        ("img/01.jpg", r"img\01.jpg", r"give 'img\\01.jpg' two labels"),
        ("img/01.jpg", r"img\.\01.jpg", "two labels"),
        ("img/01", "img/01.jpg", "'img/01.jpg', which is the file of 'img/01', two"),
        (r"img\01", "img/01.jpg", "two labels"),
    ],
)
def test_two_labels_of_one_file_in_two_spellings_stop(
    tmp_path: Path, first: str, second: str, named: str
) -> None:
    (tmp_path / "img").mkdir()
    for name in ("01.jpg", "02.jpg"):
        (tmp_path / "img" / name).write_text(name)
    content = f"path,label\n{first},cat\nimg/02.jpg,dog\n{second},dog\n"
    path = tmp_path / "list.csv"
    path.write_text(content)
    with pytest.raises(DataError) as caught:
        list_images(DataConfig(path=str(path)), "unused")
    assert "lines 2 and 4 give" in str(caught.value)
    assert named in str(caught.value)
    allowed = DataConfig(path=str(path), duplicate_label_policy="keep")
    assert len(list_images(allowed, "unused").refs) == 3
    path.write_text(content.replace(f"{second},dog", f"{second},cat"))
    list_images(DataConfig(path=str(path)), "unused")


def test_two_files_of_like_names_have_a_label_each(tmp_path: Path) -> None:
    names = [r"img\01.jpg", "img/01.jpg", "img/01", "02.jpg", "02.png"]
    (tmp_path / "img").mkdir()
    for name in names:
        (tmp_path / name).write_text(name)
    lines = [f"{name},{label}" for name, label in zip(names, "abcde", strict=True)]
    (tmp_path / "list.csv").write_text("\n".join(["path,label", *lines]))
    found = list_images(DataConfig(path=str(tmp_path / "list.csv")), "unused")
    assert len({ref.path for ref in found.refs}) == len(names)


def test_a_line_may_stand_twice(tmp_path: Path) -> None:
    content = "path,label\na.png,cat\na.png,cat \nA.png,dog\n"
    assert _labels(tmp_path, "csv", content) == ["cat", "cat ", "dog"]


def test_two_labels_of_one_image_under_other_names(
    tmp_path: Path,
    make_image: Callable[..., bytes],
    run_ingestion: Callable[..., Any],
) -> None:
    lines = ["path,label"]
    for index, name in enumerate(["a", "b", "c", "d", "e", "f"]):
        (tmp_path / f"{name}.png").write_bytes(make_image(index))
        lines.append(f"{name}.png,{('cat', 'dog')[index % 2]}")
    (tmp_path / "copy.png").write_bytes(make_image(0))
    lines.append("copy.png,dog")
    (tmp_path / "list.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(
        DataError, match=r"'a.png' = 'copy.png' \(labels 'cat', 'dog'\)"
    ):
        run_ingestion(tmp_path / "list.csv")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (r"C:\photos\a.jpg", "a path of Windows. Write it from the manifest's folder"),
        ("C:/photos/a.jpg", "a path of Windows"),
        (r"\\server\photos\a.jpg", "a path of Windows"),
        (
            "file:///data/a%20b.jpg",
            "a URI. Give a local path without `file://`: '/data",
        ),
        ("https://example.com/a.jpg", "a URI of https://. Download the images"),
    ],
)
def test_a_path_of_another_system_is_named(
    tmp_path: Path, path: str, message: str
) -> None:
    manifest = tmp_path / "list.csv"
    manifest.write_text(f"path,label\na.png,cat\n{path},dog\n")
    config = DataConfig(path=str(manifest))
    for read in (fingerprint, lambda config: list_images(config, "unused")):
        with pytest.raises(DataError) as caught:
            read(config)
        assert f"line 3: the image's path is {path!r}, {message}" in str(caught.value)


def test_a_file_may_be_called_like_a_path_of_windows(tmp_path: Path) -> None:
    (tmp_path / r"C:\a.jpg").write_text("an image")
    manifest = tmp_path / "list.csv"
    manifest.write_text("path,label\nC:\\a.jpg,cat\nb.jpg,dog\n")
    first = list_images(DataConfig(path=str(manifest)), "unused").refs[0]
    assert first.size == len("an image")


def test_a_name_with_several_extensions_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    (tmp_path / "a.png").touch()
    (tmp_path / "list.csv").write_text("path,label\nb,cat\na,dog\n")
    with pytest.raises(
        DataError, match=r"line 3: the image 'a' may be any of 'a\.jpg'"
    ):
        fingerprint(DataConfig(path=str(tmp_path / "list.csv")))


def test_a_blank_split_is_left_to_the_content(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("path,label,split\na,cat,train\nb,cat, \nc,dog,\nd,dog,test\n")
    refs = list_images(DataConfig(path=str(path)), "unused").refs
    assert [ref.splits for ref in refs] == [("train",), SPLITS, SPLITS, ("test",)]
    path.write_text("path,label,split\na,cat,train\nb,cat,train\nc,dog,test\n")
    refs = list_images(DataConfig(path=str(path)), "unused").refs
    assert [ref.splits for ref in refs] == [("train", "eval")] * 2 + [("test",)]


def test_a_path_that_is_null_is_blank(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 1: the column 'path' is blank"):
        _labels(tmp_path, "jsonl", '{"path": null, "label": "cat"}\n')
    with pytest.raises(DataError, match=r"must be a text\. Received: 7\."):
        _labels(tmp_path, "jsonl", '{"path": 7, "label": "cat"}\n')


def test_a_remote_manifest_names_images_beside_it() -> None:
    root = "memory://test-manifests/data"
    atomic.write_text(f"{root}/a.png", "image")
    atomic.write_text(f"{root}/list.csv", "path,label\na.png,cat\n1/b,dog\n")
    atomic.write_text(f"{root}/1/b.png", "image")
    config = DataConfig(path=f"{root}/list.csv")
    refs = list_images(config, "unused").refs
    assert [ref.path for ref in refs] == [f"{root}/a.png", f"{root}/1/b.png"]
    before = fingerprint(config)
    atomic.write_text(f"{root}/list.csv", "path,label\na.png,dog\n1/b,dog\n")
    assert fingerprint(config) != before


def test_further_columns_without_a_value_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text(
        '{"path": "a", "label": "x", "camera": null, "site": " ", "n": 1}\n'
        '{"path": "b", "label": "y", "camera": "c ", "site": "s"}\n'
    )
    entries = read_manifest(str(path), "jsonl", DataConfig(path=str(path))).entries
    assert [entry.columns for entry in entries] == [
        (("n", "1"),),
        (("camera", "c"), ("site", "s")),
    ]


@pytest.mark.parametrize(
    ("header", "fields", "hint"),
    [
        ("path,label,split", {"split_column": "fold"}, "Did you mean 'split'"),
        ("path,label,folds", {"split_column": "fold"}, "Did you mean 'folds'"),
        ("path,label", {"split_column": "fold"}, "Name the column"),
        ("path,label,Split", {}, "Did you mean 'Split'"),
    ],
)
def test_a_split_column_that_is_not_there(
    tmp_path: Path, header: str, fields: dict[str, str], hint: str
) -> None:
    values = ",test" if header.count(",") == 2 else ""
    with pytest.raises(DataError, match="which `split_column` names") as error:
        _labels(tmp_path, "csv", f"{header}\na.png,cat{values}\n", **fields)
    assert hint in str(error.value)


def test_a_label_that_joins_two_others_stops(tmp_path: Path) -> None:
    text = "path,label\na.png,cat\nb.png,dog\nc.png,cat|dog\n"
    with pytest.raises(
        DataError, match=r"line 4: an image has one label.*'cat', 'dog'"
    ):
        _labels(tmp_path, "csv", text)
    assert _labels(tmp_path, "csv", "path,label\na.png,cat|dog\n") == ["cat|dog"]


@pytest.mark.parametrize(
    ("content", "names", "labels"),
    [
        ('path, "label"\na.png, "cat"\n', ["a.png"], ["cat"]),
        ('path; label\n"a.png"; "cat; big"\n', ["a.png"], ["cat; big"]),
        ('label, path\ncat,  "a.png"\n', ["a.png"], ["cat"]),
        (' "path","label"\n "a, ""b"".png","cat"\n', ['a, "b".png'], ["cat"]),
        # In other lines, the blanks belong to the values.
        ("path,label\n a.png, cat\n", [" a.png"], [" cat"]),
        ('path,label\n" a.png","a, ""b"" c"\n', [" a.png"], ['a, "b" c']),
    ],
)
def test_a_quoted_value_may_begin_behind_a_blank(
    tmp_path: Path, content: str, names: list[str], labels: list[str]
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(content)
    entries = read_manifest(str(path), "csv", DataConfig(path=str(path))).entries
    assert [entry.path for entry in entries] == names
    assert [entry.label for entry in entries] == labels


def test_a_label_in_other_quotes_is_named_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(DataError) as caught:
        _labels(tmp_path, "csv", "path,label\na.png,cat\nb.png,'cat'\n")
    message = str(caught.value)
    assert "list.csv', line 3: the column 'label' is a name in quotes. Write" in message


@pytest.mark.parametrize("second", ["cat,3,1", "dog,3,1", "cat,1,2"])
def test_a_table_of_boxes_is_refused(tmp_path: Path, second: str) -> None:
    content = f"path,label,xmin,ymin\nb.png,dog,1,1\na.png,cat,1,1\n./a.png,{second}\n"
    with pytest.raises(DataError) as caught:
        _labels(tmp_path, "csv", content)
    message = str(caught.value)
    assert "list.csv': lines 3 and 4 are boxes in one image (column 'xmin')" in message
    assert "Received: './a.png' twice" in message and "detection of objects" in message


@pytest.mark.parametrize(
    "lines",
    [
        "a.png,cat,1,1\nb.png,cat,1,1\n",  # a box for each image, as in GTSRB
        "a.png,cat,1,1\na.png,cat,1,1\n",
    ],
)
def test_a_box_for_each_image_is_read(tmp_path: Path, lines: str) -> None:
    content = f"path,label,xmin,ymin\n{lines}"
    assert _labels(tmp_path, "csv", content) == ["cat", "cat"]


def test_boxes_in_json_lines_are_refused(tmp_path: Path) -> None:
    content = "".join(
        f'{{"path": "a.png", "label": "cat", "bbox": [{n}, 1, 2, 2]}}\n' for n in "12"
    )
    with pytest.raises(DataError, match="lines 1 and 2 are boxes"):
        _labels(tmp_path, "jsonl", content)


def test_other_columns_may_differ(tmp_path: Path) -> None:
    content = "path,label,who\na.png,cat,ann\na.png,cat,bob\n"
    assert _labels(tmp_path, "csv", content) == ["cat", "cat"]


@pytest.mark.parametrize("words", [("val", "eval"), ("dev", "Eval")])
def test_eval_beside_another_validation_set_stops(
    tmp_path: Path, words: tuple[str, str]
) -> None:
    lines = [f"{i}.jpg,cat,{split}" for i, split in enumerate(("train", *words))]
    (tmp_path / "l.csv").write_text("\n".join(["path,label,split", *lines]))
    with pytest.raises(DataError, match="line 4: `split` may mean the test set") as e:
        read_manifest(str(tmp_path / "l.csv"), "csv", DataConfig(path="x"))
    assert f"Write 'test' or {words[0]!r} for it" in str(e.value)
