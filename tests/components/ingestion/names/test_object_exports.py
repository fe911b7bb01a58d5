"""Exports for the detection of objects in each top folder are no classes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graft.components.ingestion.folders.layout_detection import detect_layout
from graft.components.ingestion.names.folder_counts import count_folders
from graft.components.ingestion.sources.layout_answers import FolderLayout, Question

# Files of one export by its name; "{}" is the number of an image.
EXPORTS = {
    "YOLO": ["images/{}.jpg", "labels/{}.txt", "data.yaml"],
    "YOLO beside images": ["{}.jpg", "{}.txt", "classes.txt"],
    "Supervisely": ["img/{}.jpg", "ann/{}.jpg.json"],
    "CVAT": ["images/{}.jpg", "annotations.xml"],
    "COCO": ["data/{}.jpg", "labels.json"],
    "COCO beside images": ["{}.jpg", "_annotations.coco.json"],
    "Pascal VOC": ["{}.jpg", "{}.xml"],
    "labelme": ["{}.jpg", "{}.json"],
    "CreateML": ["{}.jpg", "_annotations.createml.json"],
}


def _export(name: str, *tops: str) -> list[str]:
    return sorted(
        {
            f"{top}/{file}".format(number)
            for top in tops
            for file in EXPORTS[name]
            for number in range(4)
        }
    )


def _question(names: list[str]) -> Question:
    answer = detect_layout(count_folders(names))
    assert isinstance(answer, Question), answer
    return answer


@pytest.mark.parametrize("name", EXPORTS)
def test_an_export_in_each_top_folder_is_named(name: str) -> None:
    question = _question(_export(name, "road", "yard"))
    kind = name.removesuffix(" beside images")
    assert f"holds objects as {kind} has them, which graft does" in question.finding
    assert "The folders 'road', 'yard' have files of annotations" in question.finding
    assert [option.settings for option in question.options] == [{"format": "folders"}]


@pytest.mark.parametrize("name", EXPORTS)
def test_splits_of_an_export_are_never_offered_as_classes(name: str) -> None:
    question = _question(_export(name, "train", "valid"))
    assert question.options == ()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.sampled_from("site1 site2 roadA roadB north ds0 ds1 task_1 cat".split()),
        min_size=2,
        max_size=4,
        unique=True,
    ),
    st.sampled_from(sorted(EXPORTS)),
    st.sampled_from(["", "train/"]),
    st.sampled_from([[], ["README.md"], ["meta.json"], ["classes.txt"]]),
)
def test_no_export_is_read_without_a_question(
    tops: list[str], name: str, above: str, beside: list[str]
) -> None:
    names = _export(name, *(f"{above}{top}" for top in tops))
    if above:
        names += _export(name, *(f"test/{top}" for top in tops))
    _question([*names, *beside])


def test_text_beside_most_images_is_asked_about() -> None:
    names = [f"{c}/{i}.{e}" for c in "ab" for i in range(4) for e in ("jpg", "txt")]
    question = _question(names)
    assert "such as 'a/0.txt'" in question.finding
    assert [option.settings for option in question.options] == [{"format": "folders"}]


def test_an_export_in_one_of_several_folders_is_asked_about() -> None:
    names = [*_export("labelme", "road"), "yard/1.jpg", "yard/2.jpg"]
    assert "The folder 'road' has files" in _question(names).finding


@pytest.mark.parametrize(
    "others",
    [
        ["cat/0.txt"],
        ["cat/notes.txt", "dog/info.json", "dog/list.xml"],
        ["cat/0.xmp", "cat/1.xmp", "cat/2.xmp", "cat/3.xmp"],
        ["classes.txt", "0.txt", "1.txt", "2.txt", "3.txt"],
    ],
    ids=["one text", "other names", "settings of a camera", "other folder"],
)
def test_other_files_in_class_folders_are_no_annotations(others: list[str]) -> None:
    names = [f"{c}/{i}.jpg" for c in ("cat", "dog") for i in range(4)]
    answer = detect_layout(count_folders([*names, *others]))
    assert answer == FolderLayout("folders")
