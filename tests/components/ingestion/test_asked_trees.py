"""The first option reads trees right whose names hold splits, sources or masks."""

from __future__ import annotations

from typing import Any

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.errors import DataError
from graft.pipeline.config import load_config

# Of a tree: its files ("#" are the numbers 1 to 6), and what the first option reads.
FIRST = {
    "unlabelled images beside the classes": (
        "{cat,dog,unlabelled_pool}/#.jpg",
        "cat train 6 dog train 6",
    ),
    "two test sets beside the classes": (
        "{cat,dog}/#.jpg {blind,field_test}/{cat,dog}/#.jpg",
        "cat train 6 cat test 12 dog train 6 dog test 12",
    ),
    "splits in a folder that holds one of them again": (
        "x/{train,test}/{cat,dog}/{IM,ALT2-IM}-3#.jpg x/x/train/{cat,dog}/IM-3#.jpg",
        "cat train 12 cat test 12 dog train 12 dog test 12",
    ),
    "two lines between the class and a number": (
        "views/{obj1,obj2}__#.jpg",
        "obj1 train 6 obj2 train 6",
    ),
    "splits in train, beside its classes": (
        "train/{cat,dog}/#.jpg train/{train,val,test}/{cat,dog}/#.jpg",
        "cat train 12 cat eval 6 cat test 6 dog train 12 dog eval 6 dog test 6",
    ),
    "folders called as splits beside the classes of train": (
        "train/{cat,dog}/#.jpg train/{train,val,test}/#.jpg",
        "cat train 6 dog train 6",
    ),
    "lung masks beside images": (
        "{Train,Test}/{COVID,Normal}/{images,lung~masks}/#.jpg",
        "COVID train 6 COVID test 6 Normal train 6 Normal test 6",
    ),
    "the same names beside images": (
        "{Train,Test}/{COVID,Normal}/{images,infection}/#.jpg",
        "COVID train 6 COVID test 6 Normal train 6 Normal test 6",
    ),
    "lung masks without splits": (
        "{COVID,Normal}/{images,lung~masks}/#.jpg",
        "COVID train 6 Normal train 6",
    ),
    "a date behind the class in names of files": (
        "{cat,dog}_2024010{1,2,3}_#.jpg",
        "cat train 18 dog train 18",
    ),
    "a date and a time behind the class in names of files": (
        "{cat,dog}-2024-01-0{1,2}-1200#.jpg",
        "cat train 12 dog train 12",
    ),
    "a number of a series behind the class in names of files": (
        "{cat,dog}_{1,2,3}_#.jpg",
        "cat train 18 dog train 18",
    ),
}


@pytest.mark.parametrize(("files", "wanted"), FIRST.values(), ids=FIRST)
def test_the_first_option_reads_the_tree(trees: Any, files: str, wanted: str) -> None:
    root = trees.make(files)
    (line, first), *_ = trees.options(root)
    assert trees.counts(first, True) == trees.wanted(wanted), line
    trees.require(root)


def test_originals_beside_a_split_can_be_read_without_copies(
    trees: Any,
) -> None:
    root = trees.make("{original,augmented,test}/{cat,dog}/#.jpg")
    trees.require(root, "cat train 6 cat test 6 dog train 6 dog test 6")


def test_masks_are_left_out_of_the_splits_of_an_option(
    trees: Any,
) -> None:
    splits = "{Train,Test}/{ill,well}"
    root = trees.make(f"{{A,B}}~Data/{splits}/{{images,lung~masks}}/#.jpg")
    trees.require(root, "ill train 12 ill test 12 well train 12 well test 12")


def test_classes_in_folders_of_splits_have_a_warning(
    trees: Any,
) -> None:
    root = trees.make("{cat,dog}/#.jpg holdout/{cat,dog}/#.jpg")
    config = DataConfig(path=str(root), class_pattern="(?P<class>.+)/[^/]+")
    warnings = "\n".join(list_images(config, "unused").warnings)
    assert "'holdout/cat', 'holdout/dog' have the name of a split in their" in warnings


def test_short_splits_in_names_of_files_are_told(
    trees: Any,
) -> None:
    root = trees.make("{tr,te}_0{1,2,3,4,5,6}.png")
    with pytest.raises(DataError, match="hold splits and no class: 'te', 'tr'"):
        list_images(load_config(None, data=str(root)).data, "unused")


_LABELS = "".join(f"imgs/{n}.jpg,{'cat' if n % 2 else 'dog'}\n" for n in range(1, 7))


def test_a_table_is_tried_before_it_is_offered(trees: Any) -> None:
    root = trees.make("imgs/{1,2,3,4,5,6,7,8}.jpg")
    (root / "t.csv").write_text(f"path,label\n{_LABELS}imgs/7.jpg,owl\n")
    ((line, _),) = trees.options(root)
    assert line == f"""--data {root}/t.csv --set 'data.class_names=["cat", "dog"]'"""


def test_the_reason_is_told_if_a_table_stops(trees: Any) -> None:
    root = trees.make("imgs/{cat,dog}_#.jpg")
    rows = "".join(
        f"imgs/{c}_{n % 6 + 1}.jpg,{c}\n" for c in ("cat", "dog") for n in range(600)
    )
    (root / "t.csv").write_text(f"path,label\n{rows}imgs/cat_1.jpg,0.5\n")
    (line, _), *others = trees.options(root)
    assert not others
    assert "class_pattern" in line
    with pytest.raises(DataError, match=r"'t.csv' would stop: .*line 1202"):
        list_images(load_config(None, data=str(root)).data, "unused")


def test_a_folder_for_unknown_labels_has_a_warning(trees: Any) -> None:
    root = trees.make("{0,1,2,-1}/#.jpg")
    warnings = list_images(DataConfig(path=str(root)), "unused").warnings
    assert "The folder '-1' is read as a class." in "\n".join(warnings)


def test_a_list_of_a_split_without_extension_is_told(trees: Any) -> None:
    root = trees.make("{cat,dog}/#.jpg")
    (root / "train").write_text("cat/1.jpg\ncat/2.jpg\ndog/1.jpg\n")
    (root / "test").write_text("cat/3.jpg\ndog/3.jpg\n")
    warnings = list_images(DataConfig(path=str(root)), "unused").warnings
    told = "'test', 'train' seem to say the splits of the images (2 test, 3 train)"
    assert told in "\n".join(warnings)


def test_splits_and_sensors_in_the_names_of_folders_have_an_option(trees: Any) -> None:
    root = trees.make("{train,test}_{rgb,ir}/{cat,dog}/#.jpg")
    trees.require(root, "cat train 12 cat test 12 dog train 12 dog test 12")


def test_a_person_called_ann_is_no_folder_of_annotations(trees: Any) -> None:
    root = trees.make("cat/{Mary,John}/#.jpg dog/{Ann,Tom}/#.jpg")
    (_, first), *_ = trees.options(root)
    assert trees.counts(first) == trees.wanted("cat 12 dog 12")
