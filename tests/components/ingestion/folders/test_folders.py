"""Each known layout is read correctly with a config of one line."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any, Literal

import pytest

from graft.components.ingestion.fingerprint import fingerprint
from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.source import Listing, some_of
from graft.components.ingestion.summary import select_classes
from graft.contract.errors import DataError

ALL = ("train", "eval", "test")


def _write(root: Path, names: list[str], **texts: str) -> Path:
    for name in (*names, *texts):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(texts.get(name, name))
    return root


def _list(path: Path, **fields: Any) -> Listing:
    return list_images(DataConfig(path=str(path), **fields), "unused")


def _found(listing: Listing) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {ref.name: (ref.class_name, ref.splits) for ref in listing.refs}


@pytest.fixture
def seg(tmp_path: Path) -> Path:
    names = [
        f"{split}/{split}/{name}/1.jpg"
        for split in ("seg_train", "seg_test")
        for name in ("sea", "street")
    ]
    return _write(tmp_path, [*names, "seg_pred/seg_pred/1.jpg"])


def test_split_folders_at_any_depth(seg: Path) -> None:
    given = {"train": "seg_train/seg_train", "test": "seg_test/seg_test"}
    listing = _list(seg, split_folders=given)
    assert _found(listing) == {
        "seg_train/seg_train/sea/1.jpg": ("sea", ("train", "eval")),
        "seg_train/seg_train/street/1.jpg": ("street", ("train", "eval")),
        "seg_test/seg_test/sea/1.jpg": ("sea", ("test",)),
        "seg_test/seg_test/street/1.jpg": ("street", ("test",)),
    }
    assert listing.empty_classes == []
    assert any(
        "1 image outside of the split folders: 'seg_pred' (1)" in text
        for text in listing.warnings
    )


def test_a_question_comes_before_anything_runs(seg: Path) -> None:
    with pytest.raises(DataError, match=r"data\.split_folders="):
        fingerprint(DataConfig(path=str(seg)))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"train": "seg_trian"}, r"in '.*'\. Received: 'seg_trian'.*mean 'seg_train'"),
        ({"train": "seg_pred"}, r"At least two classes are needed"),
        ({"train": "seg_pred/seg_pred"}, r"which holds 1 image directly"),
    ],
)
def test_wrong_split_folders(seg: Path, given: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        select_classes(_list(seg, split_folders=given), DataConfig(path=str(seg)))


def test_a_class_in_the_file_name(tmp_path: Path) -> None:
    names = ["Great_Dane_1.jpg", "Great_Dane_2.jpg", "pug_1.jpg", "cover.jpg"]
    listing = _list(_write(tmp_path, names), class_pattern=r"(?P<class>.+)_\d+")
    assert _found(listing) == {
        "Great_Dane_1.jpg": ("Great_Dane", ALL),
        "Great_Dane_2.jpg": ("Great_Dane", ALL),
        "pug_1.jpg": ("pug", ALL),
    }
    assert any(
        "1 file that `class_pattern` does not match" in t for t in listing.warnings
    )
    with pytest.raises(DataError, match=r"matches none of 4 files, such as 'Great_D"):
        _list(tmp_path, class_pattern="(?P<class>x)")


def test_a_class_and_a_split_in_the_path(tmp_path: Path) -> None:
    names = [f"{c}/{s}/1.jpg" for c in ("cat", "dog") for s in ("training", "test1")]
    pattern = "(?P<class>[^/]+)/(?P<split>[^/]+)/.+"
    assert _found(_list(_write(tmp_path, names), class_pattern=pattern)) == {
        f"{name}/{folder}/1.jpg": (name, splits)
        for name in ("cat", "dog")
        for folder, splits in (("training", ("train", "eval")), ("test1", ("test",)))
    }


def test_tiny_imagenet(tmp_path: Path) -> None:
    names = [f"train/n{k}/images/n{k}_0.JPEG" for k in range(2)]
    names += [f"val/images/val_{k}.JPEG" for k in range(3)]
    names += ["test/images/test_0.JPEG", "train/n0/n0_boxes.txt"]
    table = "val_0.JPEG\tn1\t0\t0\t9\t9\nval_1.JPEG\tn0\t0\t0\t9\t9\n"
    root = _write(tmp_path, names, **{"val/val_annotations.txt": table})
    listing = _list(root)
    assert _found(listing) == {
        "train/n0/images/n0_0.JPEG": ("n0", ("train", "eval")),
        "train/n1/images/n1_0.JPEG": ("n1", ("train", "eval")),
        "val/images/val_0.JPEG": ("n1", ("test",)),
        "val/images/val_1.JPEG": ("n0", ("test",)),
    }
    assert any(
        "2 images without a label in 'test', 'val'" in t for t in listing.warnings
    )
    before = fingerprint(DataConfig(path=str(root)))
    (root / "val/val_annotations.txt").write_text(table.replace("n1", "n0"))
    assert fingerprint(DataConfig(path=str(root))) != before


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_pattern_matches_names_in_every_form_of_unicode(
    tmp_path: Path, form: Literal["NFC", "NFD"]
) -> None:
    names = ["zoë_1.jpg", "chat_1.jpg", "zoe\u0308_2.jpg"]
    pattern = unicodedata.normalize(form, r"(?P<class>zoë|chat)_\d+")
    found = _found(_list(_write(tmp_path, names), class_pattern=pattern))
    assert sorted(label for label, _ in found.values()) == ["chat", "zoë", "zoë"]


def _roboflow(root: Path, rows: str) -> Path:
    tables = {
        f"{s}/_classes.csv": "filename, cat, dog\n" + rows for s in ("train", "test")
    }
    return _write(
        root, [f"{s}/{i}.jpg" for s in ("train", "test") for i in "12"], **tables
    )


def test_roboflow(tmp_path: Path) -> None:
    listing = _list(_roboflow(tmp_path, "1.jpg, 1, 0\n2.jpg, 0, 1\n"))
    assert _found(listing) == {
        "train/1.jpg": ("cat", ("train", "eval")),
        "train/2.jpg": ("dog", ("train", "eval")),
        "test/1.jpg": ("cat", ("test",)),
        "test/2.jpg": ("dog", ("test",)),
    }


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("1.jpg, 1, 1", r"line 2: an image must have exactly one class.*'cat', 'dog'"),
        ("1.jpg, 0, 0", r"exactly one class\. Received: none"),
        ("1.jpg, 1", r"line 2 must hold a file name, and a 0 or 1 for each of 2"),
        ("1.jpg, 0.5, 0.5", r"a 0 or 1 for each of 2"),
    ],
)
def test_roboflow_rows_without_one_class(
    tmp_path: Path, row: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        _list(_roboflow(tmp_path, f"{row}\n"))


def test_tables_that_give_a_file_two_classes(tmp_path: Path) -> None:
    root = _roboflow(tmp_path / "r", "1.jpg, 1, 0\n2.jpg, 0, 1\n\n1.jpg , 0, 1\n")
    with pytest.raises(DataError) as caught:
        _list(root)
    table = root / "test/_classes.csv"
    assert str(caught.value) == (
        f"'{table}': lines 2 and 5 give '1.jpg' two classes. Received: 'cat' and "
        "'dog'. Delete one of the lines."
    )
    names = [f"train/n{k}/images/n{k}_0.JPEG" for k in range(2)]
    text = "a.JPEG\tn1\t0\na.JPEG\tn1\t9\na.JPEG \tn0\t0\n"
    tables = {"val/val_annotations.txt": text}
    root = _write(tmp_path / "t", [*names, "val/images/a.JPEG"], **tables)
    with pytest.raises(DataError, match=r"lines 1 and 3 give 'a\.JPEG' two"):
        _list(root)


def test_tables_may_repeat_a_line_and_name_files_that_are_gone(tmp_path: Path) -> None:
    rows = "1.jpg, 1, 0\n2.jpg, 0, 1\n1.jpg, 1, 0\n9.jpg, 1, 0\n"
    listing = _list(_roboflow(tmp_path, rows))
    assert len(listing.refs) == 4
    assert (
        "The label tables name 2 missing files: 'test/9.jpg', 'train/9.jpg'."
        in listing.warnings
    )


def test_kaggle_ids_without_extension(tmp_path: Path) -> None:
    table = "id,breed\n1a,pug\n2b,boxer\n3c,pug\n"
    names = ["train/1a.jpg", "train/2b.png", "train/1a.txt", "test/9z.jpg"]
    root = _write(tmp_path, names, **{"train.csv": table})
    with pytest.raises(DataError) as caught:
        _list(root)
    assert (
        f"--data {root}/train.csv --set data.path_column=id "
        "--set data.label_column=breed --set data.image_folder=train"
    ) in str(caught.value)
    fields = {"path_column": "id", "label_column": "breed", "image_folder": "train"}
    refs = _list(root / "train.csv", **fields).refs
    assert [(Path(ref.path).name, ref.class_name) for ref in refs] == [
        ("1a.jpg", "pug"), ("2b.png", "boxer"), ("3c", "pug")
    ]  # fmt: skip
    _write(root, ["train/1a.png"])
    with pytest.raises(DataError, match=r"'1a\.jpg', '1a\.png'.*Write the extension"):
        _list(root / "train.csv", **fields)


def test_a_manifest_that_was_written_under_windows(tmp_path: Path) -> None:
    table = "path,label\ncat\\1.jpg,cat\n"
    root = _write(tmp_path, ["cat/1.jpg"], **{"list.csv": table})
    (ref,) = _list(root / "list.csv").refs
    assert Path(ref.path) == root / "cat/1.jpg"


def test_output_of_a_run_is_never_a_class(tmp_path: Path) -> None:
    names = [f"{c}/{i}.jpg" for c in ("cat", "dog") for i in "123"]
    root = _write(tmp_path, [*names, "out/.graft-output", "out/x/plots/1.png"])
    listing = _list(_write(root, ["graft_output/pipelines/1.png"]))
    assert {ref.class_name for ref in listing.refs} == {"cat", "dog"}
    assert listing.empty_classes == []
    assert listing.ignored == {"of graft's output": 3}


def test_a_class_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    names = [f"{c}/{i}.jpg" for c in ("cat", "dog") for i in "123"]
    root = _write(tmp_path, [*names, "emu/._1.jpg", "emu/a.txt", "annotations/1.xml"])
    listing = _list(root)
    left = "1 folder without images, not called like a class ('annotations')"
    assert any(left in text for text in listing.warnings)
    message = r"Received: 'emu' \(0\)\. The folder 'emu' holds only 1 \.txt, 1 of macOS"
    with pytest.raises(DataError, match=message):
        select_classes(listing, DataConfig(path=str(root)))


def test_a_pattern_that_finds_no_class_leaves_the_file_aside(tmp_path: Path) -> None:
    root = _write(tmp_path / "pets", ["cat_1.jpg", "dog_2.jpg", "_3.jpg", "4.jpg"])
    listing = _list(root, class_pattern=r"((?P<class>[a-z]*)_)?\d+")
    assert {ref.name: ref.class_name for ref in listing.refs} == {
        "cat_1.jpg": "cat",
        "dog_2.jpg": "dog",
    }
    assert {ref.source for ref in listing.refs} == {"pets"}
    assert any("2 files that `class_pattern`" in text for text in listing.warnings)


def test_a_pattern_beside_split_folders_reads_these_alone(tmp_path: Path) -> None:
    names = ["a/cat_1.jpg", "a/dog_2.jpg", "b/cat_3.jpg", "c/cat_4.jpg", "cat_5.jpg"]
    listing = _list(
        _write(tmp_path, names),
        class_pattern=r"(?P<class>.+)_\d+",
        split_folders={"train": "a", "test": "b"},
    )
    assert _found(listing) == {
        "a/cat_1.jpg": ("cat", ("train", "eval")),
        "a/dog_2.jpg": ("dog", ("train", "eval")),
        "b/cat_3.jpg": ("cat", ("test",)),
    }
    assert any("Left aside: 2 files" in text for text in listing.warnings)


def test_a_pattern_may_find_a_split_or_none(tmp_path: Path) -> None:
    pattern = r"(?P<class>[a-z]+)(-(?P<split>[a-z]+))?_\d+"
    names = ["cat-train_1.jpg", "cat-test_2.jpg", "dog_3.jpg"]
    assert _found(_list(_write(tmp_path, names), class_pattern=pattern)) == {
        "cat-train_1.jpg": ("cat", ("train", "eval")),
        "cat-test_2.jpg": ("cat", ("test",)),
        # It must not become a test image beside the given ones.
        "dog_3.jpg": ("dog", ("train", "eval")),
    }
    without = r"(?P<class>[a-z]+)(-(?P<split>spring))?.*"
    assert set(_found(_list(tmp_path, class_pattern=without)).values()) == {
        ("cat", ALL),
        ("dog", ALL),
    }
    _write(tmp_path, ["cat-spring_4.jpg"])
    with pytest.raises(DataError, match=r"such as train.*'spring' of 'cat-spring_4\.j"):
        _list(tmp_path, class_pattern=pattern)


def test_which_empty_folders_are_empty_classes(tmp_path: Path) -> None:
    _write(tmp_path, ["cat/1.jpg", "dog/2.jpg", "labels/1.txt"])
    for name in ("docs", "emu", "cat/nothing"):
        (tmp_path / name).mkdir()
    listing = _list(tmp_path)
    assert listing.empty_classes == ["docs", "emu"]
    assert any("('labels')" in text for text in listing.warnings)


def test_an_ignored_folder_is_told_by_its_kind(tmp_path: Path) -> None:
    _write(tmp_path, ["cat/1.jpg", "dog/2.jpg", "emu/@eaDir/1.jpg", "emu/@eaDir/2"])
    assert _list(tmp_path).empty_notes == [
        "The folder 'emu' holds only 2 of a storage device."
    ]


def test_only_the_folders_of_a_split_are_its_classes(tmp_path: Path) -> None:
    names = [f"{s}/{c}/1.jpg" for s in ("train", "test") for c in ("cat", "dog")]
    _write(tmp_path, names)
    (tmp_path / "train" / "cat" / "nothing").mkdir()
    (tmp_path / "test" / "emu").mkdir()
    assert _list(tmp_path).empty_classes == ["emu"]


def test_a_pattern_that_matches_nothing_says_what_it_must_match(tmp_path: Path) -> None:
    _write(tmp_path, ["a/1.jpg", "b/2.jpg"])
    with pytest.raises(DataError, match="must match the whole path of an image"):
        _list(tmp_path, class_pattern="x/(?P<class>.+)")
    with pytest.raises(DataError, match="name of an image, without its extension"):
        _list(tmp_path, class_pattern="(?P<class>x)")


def test_images_directly_in_a_split_have_no_class(tmp_path: Path) -> None:
    names = ["train/cat/1.jpg", "train/dog/1.jpg", "train/1.jpg", "test/cat/1.jpg"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    config = DataConfig(path=str(tmp_path), format="pre_split")
    found = list_images(config, "unused")
    assert {ref.class_name for ref in found.refs} == {"cat", "dog"}
    assert found.warnings == [
        "Left aside: 1 image directly in 'train', where no class folder says the label."
    ]


@pytest.mark.parametrize(
    ("number", "end"), [(1, "'0'"), (5, "'4'"), (6, "'4' and 1 more")]
)
def test_a_message_names_five(number: int, end: str) -> None:
    assert some_of(map(str, range(number))).endswith(end)


def test_an_empty_folder_of_a_class_is_no_empty_split(tmp_path: Path) -> None:
    for name in ("train/cat/1.jpg", "train/dog/1.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / "train/cat/test").mkdir()
    config = DataConfig(path=str(tmp_path))
    assert len(list_images(config, "unused").refs) == 2
    (tmp_path / "test").mkdir()
    with pytest.raises(DataError, match="The folder 'test' is named as a split and ho"):
        list_images(config, "unused")
