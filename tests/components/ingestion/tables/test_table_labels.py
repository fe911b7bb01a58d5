"""A table's column is offered for the labels only if ingestion reads it so."""

from __future__ import annotations

import re
import shlex
import shutil
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.source import Listing
from graft.components.ingestion.summary import select_classes
from graft.contract.errors import DataError
from graft.pipeline.config import load_config

NUMBERS = range(12)


def _table(header: str, line: str) -> str:
    rows = [
        line.format(
            n=f"{n:03}",
            label=("cat", "dog")[n % 2],
            sign=(-1, 1)[n % 2],
            other=(-1, 1)[n % 3 == 0],
            third=n % 3,
            split=("train", "Test", "val")[n % 3],
            tags=("a|b", "a", "b", "c")[n % 4],
            blank=("cat", "")[n % 2],
        )
        for n in NUMBERS
    ]
    return "\n".join([header, *rows]) + "\n"


def _write(root: Path, files: dict[str, str], folders: str = "images") -> str:
    for folder in folders.split():
        for n in NUMBERS:
            path = root / folder / f"{n:03}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{folder} {n}")
    for name, content in files.items():
        (root / name).write_text(content)
    return str(root)


def _question(root: str) -> str:
    with pytest.raises(DataError) as stopped:
        list_images(DataConfig(path=root), "unused")
    return str(stopped.value)


def _options(text: str) -> list[list[str]]:
    return [shlex.split(line) for line in re.findall(r"^  \d\. (.*)$", text, re.M)]


def _read(words: list[str], root: str) -> Listing:
    pairs = [*pairwise(words)]
    data = dict(pairs).get("--data", root)
    config = load_config(
        None, data=data, overrides=[after for word, after in pairs if word == "--set"]
    ).data
    found = list_images(config, "unused")
    select_classes(found, config)
    return found


@pytest.mark.parametrize(
    ("header", "line", "reason"),
    [
        ("id,Male,Young", "{n}.jpg,{sign},{other}", "'no' for -1 and 'yes' for 1"),
        ("id,attr_a,attr_b", "{n},{sign},{other}", "hold 1 and -1, one label each"),
        ("id,class", "{n},{sign}", "If -1 and 1 mean no and yes, write names for both"),
        ("ImageId,PredictionString", "{n},n01 1 2 3 4", "it holds boxes or masks"),
        ("id,target", "{n},cat 0.5 1 2 3 4 dog 0.5 1 2 3 4", "boxes or masks of obj"),
        ("id,box_text", '{n},"[1.0, 2, 3, {n}]"', "it holds boxes or masks of objects"),
        ("id,EncodedPixels", "{n},1 2 3 4 5 {n}", "it holds boxes or masks of objects"),
        ("id,Finding Labels", "{n}.jpg,{tags}", "'a|b' joins several labels"),
        ("id,label", "{n}.jpg,{blank}", "in line 3 it is blank. Complete the line"),
        ("id,label", "{n}.jpg,0.{n}1", "is a number with a fraction"),
        ("id,caption", "{n}.jpg,photo {n} of us", "its 12 values is another one"),
        ("id,partition", "{n}.jpg,{third}", "seems to say the splits"),
        ("id,part", "{n}.jpg,{split}", "seems to say the splits"),
        ("id,Train/Test", "{n}.jpg,{split}", "seems to say the splits"),
        ("id,is_train,type", "{n}.jpg,1,{split}", "seems to say the splits"),
        ("id,fold", "{n}.jpg,{third}", "seems to say the splits"),
    ],
)
def test_a_column_that_is_no_label_is_not_offered(
    tmp_path: Path, header: str, line: str, reason: str
) -> None:
    root = _write(tmp_path, {"t.csv": _table(header, line)})
    text = _question(root)
    assert reason in text
    assert "'t.csv'" in text
    assert not _options(text)


def test_celeba_offers_neither_attributes_nor_splits(tmp_path: Path) -> None:
    files = {
        "list_attr.csv": _table("image_id,Male,Young", "{n}.jpg,{sign},{other}"),
        "list_eval_partition.csv": _table("image_id,partition", "{n}.jpg,{third}"),
        "list_bbox.csv": _table("image_id,x_1,y_1,width,height", "{n}.jpg,{n},1,2,3"),
        "list_landmarks.csv": _table("image_id,eye_x,eye_y", "{n}.jpg,{n}7,{n}3"),
    }
    text = _question(_write(tmp_path, files, "img/img"))
    assert not _options(text)
    assert "The columns 'Male', 'Young' of 'list_attr.csv' hold 1 and -1" in text
    assert "'list_eval_partition.csv' seems to say the splits" in text


def test_a_table_of_each_split_is_offered_in_order(tmp_path: Path) -> None:
    table = _table("image,label", "{n}.jpg,{label}")
    splits = ("test", "train", "valid")
    root = _write(tmp_path, {f"{s}.csv": table for s in splits}, " ".join(splits))
    text = _question(root)
    options = _options(text)
    assert [Path(words[1]).name for words in options] == [
        "train.csv",
        "valid.csv",
        "test.csv",
    ]
    assert "join the tables into one CSV with another column split" in text
    found = _read(options[0], root)
    assert {ref.class_name for ref in found.refs} == {"cat", "dog"}
    (warning,) = [each for each in found.warnings if "not read" in each]
    assert "'test.csv', 'valid.csv' lie beside 'train.csv' and are not read" in warning
    # The joined table reads all of them.
    rows = [f"{s}/{row},{s}" for s in splits for row in table.splitlines()[1:] if row]
    joined = tmp_path / "all.csv"
    joined.write_text("\n".join(["path,label,split", *rows]))
    found = list_images(DataConfig(path=str(joined)), "unused")
    assert len(found.refs) == 36
    assert not found.warnings


def test_parts_can_be_read_after_the_move_that_the_message_names(
    tmp_path: Path,
) -> None:
    header = "lesion_id,image_id,dx,dx_type,age,sex"
    files = {"metadata.csv": _table(header, "H{n},{n},{label},histo,50,male")}
    root = _write(tmp_path, files, "HAM_images_part_1")
    (tmp_path / "HAM_images_part_2").mkdir()
    for n in NUMBERS[6:]:
        name = f"{n:03}.jpg"
        shutil.move(f"{root}/HAM_images_part_1/{name}", f"{root}/HAM_images_part_2")
    text = _question(root)
    words = shlex.split(re.findall(r"add `(.*?)`", text)[0])
    assert "'metadata.csv' as `data.path`" in text
    (tmp_path / "images").mkdir()
    for path in [*tmp_path.glob("HAM*/*.jpg")]:
        path.rename(tmp_path / "images" / path.name)
    found = _read(["--data", f"{root}/metadata.csv", *words], root)
    assert len(found.refs) == 12
    assert {ref.class_name for ref in found.refs} == {"cat", "dog"}
    assert all(Path(ref.path).is_file() for ref in found.refs)


VALUES = st.sampled_from(
    ["cat", "dog", "1", "0", "-1", "", "0.5", "a|b", "a", "b", "n01 1 2 3 4", "[0, 1]",
     "NaN", "king cobra", "cobra", "king", "True", "'cat'", "2", "x y",
     "train", "Test"]
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(VALUES, VALUES), min_size=12, max_size=12),
    st.sampled_from(["label", "zzz", "partition", "Male"]),
    st.sampled_from(["dx", "split", "Split", "box", "Young"]),
)
def test_every_column_that_is_offered_is_read(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    first: str,
    second: str,
) -> None:
    lines = [f'{n:03}.jpg,"{a}","{b}"' for n, (a, b) in enumerate(rows)]
    content = "\n".join([f"id,{first},{second}", *lines]) + "\n"
    root = _write(tmp_path_factory.mktemp("t"), {"t.csv": content})
    for words in _options(_question(root)):
        pairs = dict(pairwise(words))
        overrides = [after for word, after in pairwise(words) if word == "--set"]
        config = load_config(None, data=pairs["--data"], overrides=overrides).data
        list_images(config, "unused")


@pytest.mark.parametrize(
    ("header", "line", "named"),
    [
        (
            "image_name,sex,diagnosis,benign_malignant,target",
            "{n},m,{label},{blank}x,{third}",
            "'diagnosis' (or another one of 'diagnosis', 'benign_malignant', 'target')",
        ),
        (
            "filename,species,breed",
            "{n}.jpg,{label},b{third}",
            "'species' (or another one of 'species', 'breed')",
        ),
        (
            "filename,label,category",
            "{n}.jpg,{label},{third}",
            "'label' (or another one of 'label', 'category')",
        ),
    ],
)
def test_every_column_that_may_hold_the_labels_is_named(
    tmp_path: Path, header: str, line: str, named: str
) -> None:
    text = _question(_write(tmp_path, {"train.csv": _table(header, line)}))
    assert f"labels from the column {named}" in text


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("filename,label,camera", "{n}.jpg,{label},{third}"),
        ("filename,label,note", "{n}.jpg,{label},{tags}"),
        ("filename,species,split", "{n}.jpg,{label},{split}"),
        ("filename,species,width", "{n}.jpg,{label},{third}"),
        ("filename,species,number", "{n}.jpg,{label},{third}"),
        ("filename,species,title", "{n}.jpg,{label},a{n}"),
    ],
)
def test_other_columns_are_not_named(tmp_path: Path, header: str, line: str) -> None:
    text = _question(_write(tmp_path, {"train.csv": _table(header, line)}))
    assert "labels from the column" in text
    assert "or another one of" not in text
