"""A manifest without the needed columns is refused with those that may be meant."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.tables.manifest_columns import flag_columns
from graft.components.ingestion.tables.manifests import Manifest, read_manifest
from graft.contract.errors import DataError


def _read(folder: Path, *lines: str, kind: str = "csv", **fields: str) -> Manifest:
    path = folder / f"list.{kind}"
    path.write_text("\n".join(lines) + "\n")
    config = DataConfig(path=str(path), **fields)
    return read_manifest(str(path), kind, config)


def _refused(folder: Path, *lines: str, kind: str = "csv") -> str:
    with pytest.raises(DataError) as refused:
        _read(folder, *lines, kind=kind)
    return str(refused.value)


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        (
            "filename,class",
            "Perhaps --set data.path_column=filename --set data.label_column=class.",
        ),
        ("Image ID,Breed", "Add them, or name yours"),
        ("id,Breed", "--set data.path_column=id --set data.label_column=Breed"),
        ("path,dx", " Perhaps --set data.label_column=dx."),
        ("path,labels", "Perhaps --set data.label_column=labels."),
        ("path,lable", "Did you mean 'lable'?"),
        ("Path,Label", "--set data.path_column=Path --set data.label_column=Label."),
        ("Datei,Klasse", "data.path_column=Datei --set data.label_column=Klasse."),
        ("archivo,clase", "data.path_column=archivo --set data.label_column=clase."),
        ("文件名,类别", "--set 'data.label_column=类别'."),
        ("path,age", "columns ['path', 'age']. Add them"),
    ],
)
def test_usual_names_are_told(tmp_path: Path, header: str, hint: str) -> None:
    message = _refused(tmp_path, header, "a.png,cat")
    assert hint in message and "Received: columns" in message


def test_usual_names_are_told_for_json(tmp_path: Path) -> None:
    message = _refused(tmp_path, '{"file_name": "a.png", "label": 1}', kind="jsonl")
    assert "Perhaps --set data.path_column=file_name." in message


@pytest.mark.parametrize(
    ("names", "rows", "expected"),
    [
        ("id a b", ["x 1 0", "y 0 1"], "a b"),
        ("id a b n", ["x 1 0 3", "y 0 1 4"], "a b"),
        ("id a b", ["x 1 0", "y 1 1"], ""),
        ("id a b", ["x 1 0", "y 0 0"], ""),
        ("id a b", ["x 1 0", "y 0 2"], ""),
        ("id a", ["x 1", "y 1"], ""),
        ("id a b", [], ""),
    ],
)
def test_which_columns_are_one_class_each(
    names: str, rows: list[str], expected: str
) -> None:
    found = flag_columns(names.split(), [row.split() for row in rows])
    assert (found.names if found.are_one_hot else []) == expected.split()


def test_one_hot_columns_are_told(tmp_path: Path) -> None:
    message = _refused(tmp_path, "path,cat,dog", "a.png,1,0", "b.png,0,1")
    assert "The columns 'cat', 'dog' are one class each (one-hot): add a" in message
    message = _refused(tmp_path, "path,cat,dog", "a.png,1,0", "b.png,1,1")
    assert "one-hot" not in message


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("holdout", " Write 'test' for it."),
        ("hold-out", " Write 'test' for it."),
        ("Train_Images", " Write 'train' for it."),
        ("validate", " Write 'val' for it."),
        ("0", ""),
        ("fold1", ""),
    ],
)
def test_other_words_for_a_split_are_refused(
    tmp_path: Path, value: str, hint: str
) -> None:
    message = _refused(tmp_path, "path,label,split", f"a.png,cat,{value}")
    assert "line 2: `split` must be 'train', 'val' or 'test', or blank" in message
    assert message.endswith(f"Received: {value!r}.{hint}")


def test_a_number_as_split_is_refused(tmp_path: Path) -> None:
    line = json.dumps({"path": "a.png", "label": "cat", "split": 1})
    assert _refused(tmp_path, line, kind="jsonl").endswith("Received: 1.")


@pytest.mark.parametrize(
    ("values", "mend"),
    [
        (["train", "test"], "set `data.split_column: Place`"),
        (["Training", "PublicTest"], "write train, val or test into a column 'split'"),
        (["train", ""], ""),
        (["train", "train"], ""),
        (["train", "cat"], ""),
        (["cat", "train", "test"], ""),
    ],
)
def test_a_column_that_seems_to_say_the_split_is_told(
    tmp_path: Path, values: list[str], mend: str
) -> None:
    rows = [f"{i}.png,cat,{value}" for i, value in enumerate(values)]
    warnings = _read(tmp_path, "path,label,Place", *rows).warnings
    assert bool(warnings) is bool(mend)
    if mend:
        assert mend in warnings[0]
        read = _read(
            tmp_path, "path,label,Place", "a.png,cat,test", split_column="Place"
        )
        assert read.warnings == []


@pytest.mark.parametrize(
    ("name", "is_told"),
    [
        ("is_train", True),
        ("isTest", True),
        ("is_valid", True),
        ("in_test", True),
        ("use_for_training", True),
        ("holdout", True),
        ("is_held_out", True),
        ("is_new", False),
        ("in_house", False),
        ("test", True),
    ],
)
def test_a_flag_of_a_split_is_told(tmp_path: Path, name: str, is_told: bool) -> None:
    warnings = _read(tmp_path, f"path,label,{name}", "a.png,cat,1").warnings
    assert [f"The column {name!r} may say the split" in w for w in warnings] == (
        [True] if is_told else []
    )


@pytest.mark.parametrize("split_column", ["split", "fold"])
def test_a_config_means_the_same_in_a_component(
    tmp_path: Path, split_column: str
) -> None:
    """A component gets the config as JSON, with the defaults written out."""
    path = tmp_path / "list.csv"
    path.write_text(f"path,label{',fold' if split_column == 'fold' else ''}\na.png,cat")
    path.write_text(path.read_text() + (",test\n" if split_column == "fold" else "\n"))
    config = DataConfig(path=str(path), split_column=split_column)
    sent = DataConfig.model_validate_json(config.model_dump_json())
    (entry,) = read_manifest(str(path), "csv", config).entries
    assert read_manifest(str(path), "csv", sent).entries == [entry]
    missing = sent.model_copy(update={"split_column": "other"})
    with pytest.raises(DataError, match="lacks the column 'other'"):
        read_manifest(str(path), "csv", missing)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,cat,dog\n1,1.0,0.0\n2,0.0,1.0", "'cat', 'dog' are one class each (one-"),
        ("path,cat,dog\n1,True,False\n2,False,True", "are one class each (one-hot)"),
        ("path,cat,dog\n1,1,1\n2,0,1", "'cat', 'dog' are one label each, and an im"),
        ("path,cat,dog\n1,1,-1\n2,-1,-1", "several or none (multi-hot)"),
        ("path,cat,dog\n1,1,-1\n2,-1,-1", "such as 'no' for -1 and 'yes' for 1"),
        ("path,cat,dog\n1,1,1\n2,0,1", "or name one of these columns, whose classes"),
        (f"path,{','.join(f'c{n}' for n in range(40))}\n", "'c10'] and 29 more"),
        (
            "path,label1,label2\n1,a,b",
            "'label1', 'label2' give an image several labels",
        ),
        ("path,label;split\n1,a;train", "'label;split' seems to be several columns"),
        ("path label\n1 a", "'path label' seems to be several columns: write one"),
        ("path:label\n1:a", "'path:label' seems to be several columns: write one"),
    ],
)
def test_columns_that_are_no_labels_are_explained(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "list.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_manifest(str(path), "csv", DataConfig(path=str(path)))
    assert message in str(caught.value)
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("name", ["fold", "kfold", "partition", "is_test", "Fold_ID"])
def test_a_column_of_folds_is_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / "list.csv"
    path.write_text(f"path,label,{name}\n1.png,cat,0\n2.png,dog,1\n")
    found = read_manifest(str(path), "csv", DataConfig(path=str(path)))
    assert found.warnings == [
        f"The column {name!r} may say the split, and is not read: write train, val or "
        "test into a column 'split'."
    ]
