"""Folders of TFRecord files are no class folders."""

from __future__ import annotations

import pytest

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question


@pytest.mark.parametrize(
    "names",
    [
        ["train/a.tfrecord", "val/a.tfrecord", "test/a.tfrecord"],
        ["records/a.tfrecord", "records/b.tfrecord", "records/info.json"],
        # of Kaggle
        ["train/ld_train00-13.tfrec", "train/ld_train01-13.tfrec", "test/t00-1.tfrec"],
        ["train/a.tfrecs", "train/b.tfrecs", "test/b.TFREC"],
        ["x/a-00000-of-00002", "x/a-00001-of-00002", "y/b.tfrecords"],
    ],
)
def test_records_are_read_as_such(names: list[str]) -> None:
    question = detect_layout(count_folders(names))
    assert isinstance(question, Question)
    assert "TFRecord files" in question.finding
    assert [option.settings for option in question.options] == [{"format": "tfrecord"}]


def test_a_record_among_images_is_no_question() -> None:
    names = [f"{top}/{i}.jpg" for top in ("cat", "dog") for i in range(3)]
    answer = detect_layout(count_folders([*names, "cat/a.tfrecord"]))
    assert isinstance(answer, FolderLayout)
