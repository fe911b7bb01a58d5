"""Files that are left aside are recognized by name; images never are."""

from __future__ import annotations

import re
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graft.storage import left_aside

_NO_NAME = re.compile("(?!)")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        (".DS_Store", left_aside.MACOS),
        ("._a.jpg", left_aside.MACOS),
        ("Icon\r", left_aside.MACOS),
        (".gitkeep", left_aside.HIDDEN),
        (".directory", left_aside.HIDDEN),
        (".cat.jpg.Xa81bQ", left_aside.HIDDEN),
        ("Thumbs.db", left_aside.WINDOWS),
        ("desktop.ini", left_aside.WINDOWS),
        ("Picasa.ini", left_aside.WINDOWS),
        ("a.jpg:Zone.Identifier", left_aside.WINDOWS),
        ("a.jpg:Zone.Identifier:$DATA", left_aside.WINDOWS),
        ("a.jpgZone.Identifier", left_aside.WINDOWS),
        ("a.jpg\uf03aZone.Identifier", left_aside.WINDOWS),
        ("a.jpg:com.dropbox.attributes", left_aside.WINDOWS),
        ("a.jpg.part", left_aside.DOWNLOAD),
        ("Unconfirmed 4711.crdownload", left_aside.DOWNLOAD),
        ("a.jpg~", left_aside.BACKUP),
        ("~$labels.xlsx", left_aside.BACKUP),
        ("cat_$folder$", left_aside.HIDDEN),
        ("README", left_aside.DOCUMENT),
        ("LICENSE", left_aside.DOCUMENT),
        ("README.md", ".md"),
        ("Train.CSV", ".csv"),
        ("IMG_1.MOV", ".mov"),
        ("model.ckpt", ".ckpt"),
        ("a.jpg", None),
        ("a", None),
        ("a.jpg_large", None),
        ("a.jpg.1", None),
        ("2026-11-29 12:30:05.jpg", None),
        ("photo: com.jpg", None),
        ("readme.png", None),
        ("part.jpg", None),
        ("smartscreen", None),
        ("IMG_1.heic", None),
        ("a b.tmp.png", None),
    ],
)
def test_files_are_told_by_their_names(name: str, kind: str | None) -> None:
    assert left_aside.kind_of_file(name) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("__MACOSX", left_aside.MACOS),
        ("$RECYCLE.BIN", left_aside.WINDOWS),
        ("System Volume Information", left_aside.WINDOWS),
        ("@eaDir", left_aside.STORAGE_DEVICE),
        ("lost+found", left_aside.STORAGE_DEVICE),
        (".ipynb_checkpoints", left_aside.HIDDEN),
        (".git", left_aside.HIDDEN),
        (".Trash-1000", left_aside.HIDDEN),
        ("graft_output", left_aside.OUTPUT),
        ("README", None),
        ("thumbs.db", None),
        ("a.part", None),
        ("photos.zip", None),
        ("cat", None),
    ],
)
def test_folders_are_told_by_their_names(name: str, kind: str | None) -> None:
    assert left_aside.kind_of_folder(name) == kind


def test_counts_are_text_with_the_most_frequent_kind_first() -> None:
    assert left_aside.describe({".csv": 1, "hidden": 3, ".md": 1}) == (
        "3 hidden, 1 .csv, 1 .md"
    )


@given(
    st.lists(
        st.sampled_from(". ._ ~ ~$ : a 1 \uf03a .jpg .PNG com.apple \n".split(" ")),
        min_size=1,
    ).map("".join)
)
def test_the_quick_look_at_a_name_agrees_with_all_rules(name: str) -> None:
    found = left_aside.kind_of_companion(name), left_aside.kind_of_file(name)
    with mock.patch.object(left_aside, "_PLAIN_IMAGE", _NO_NAME):
        assert found == (
            left_aside.kind_of_companion(name),
            left_aside.kind_of_file(name),
        )
