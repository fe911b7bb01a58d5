"""Captions beside images are no boxes, so that nobody is asked about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.contract.errors import DataError


def _write(root: Path, texts: list[str]) -> DataConfig:
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(4):
            (root / name / f"{number}.jpg").write_bytes(b"")
            text = texts[number % len(texts)]
            (root / name / f"{number}.TXT").write_text(text)
    return DataConfig(path=str(root))


@pytest.mark.parametrize(
    "texts",
    [
        ["a photo of a cat"],
        ["1girl, solo, long hair", ""],
        ["0 1 2 3"],
        ["7 cats in 4 boxes"],
        ["\u732b\n0 0.5 0.5 0.1 0.1"],
    ],
)
def test_captions_are_no_question(tmp_path: Path, texts: list[str]) -> None:
    listing = list_images(_write(tmp_path, texts), "unused")
    assert {ref.class_name for ref in listing.refs} == {"cat", "dog"}
    assert listing.ignored == {".txt": 8}


@pytest.mark.parametrize(
    "texts",
    [
        ["0 0.5 0.5 0.25 0.25\n"],
        ["\n\n12 .5 .5 1e-1 0.25\n0 0.5 0.5 0.1 0.1", ""],
        ["0 0.1 0.1 0.2 0.1 0.2 0.2"],
        [""],
        ["a caption", "0 0.5 0.5 0.25 0.25"],
    ],
)
def test_boxes_are_asked_about(tmp_path: Path, texts: list[str]) -> None:
    with pytest.raises(DataError, match="have files of annotations for their images"):
        list_images(_write(tmp_path, texts), "unused")


def test_captions_of_a_flat_folder_are_no_boxes_either(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for number in range(3):
        (tmp_path / "train" / f"{number}.jpg").write_bytes(b"")
        (tmp_path / "train" / f"{number}.txt").write_text("a caption")
    with pytest.raises(DataError) as stopped:
        list_images(DataConfig(path=str(tmp_path)), "unused")
    assert "YOLO" not in str(stopped.value)
    assert "give a manifest" in str(stopped.value)


@pytest.mark.parametrize(
    "text",
    [
        '{"url": "http://x"}',
        '{"Make": "Canon", "geo": {"coordinates": [1, 2]}}',
        "[1, 2]",
        '{"caption": "a cat", "label": "cat"}',
    ],
)
@pytest.mark.parametrize("name", ["{}.json", "{}.jpg.json"])
def test_metadata_are_no_question(tmp_path: Path, text: str, name: str) -> None:
    config = _write(tmp_path, ["a caption"])
    for folder in ("cat", "dog"):
        for number in range(4):
            (tmp_path / folder / name.format(number)).write_text(text)
    listing = list_images(config, "unused")
    assert {ref.class_name for ref in listing.refs} == {"cat", "dog"}
    assert listing.ignored == {".txt": 8, ".json": 8}


@pytest.mark.parametrize(
    "text",
    [
        '{"version": "5.0", "shapes": []}',
        '{"objects": [{"classTitle": "cat"}]}',
        '[{"image": "1.jpg", "annotations": [{"label": "cat"}]}]',
        '{"faces": [{"x1": 3}]}',
        "no JSON",
    ],
)
def test_objects_are_asked_about(tmp_path: Path, text: str) -> None:
    config = _write(tmp_path, ["a caption"])
    for folder in ("cat", "dog"):
        for number in range(4):
            (tmp_path / folder / f"{number}.json").write_text(text)
    with pytest.raises(DataError, match="have files of annotations for their images"):
        list_images(config, "unused")


@pytest.mark.parametrize(
    ("images", "texts", "content", "what"),
    [
        ("{}.jpg", "{}.txt", "{}", "'0.txt', which holds 'cat'"),
        ("images/{}.jpg", "images/{}.txt", "{}", "'images/0.txt', which holds 'cat'"),
        ("images/{}.jpg", "labels/{}.txt", "{}\n", "'labels/0.txt', which holds"),
        ("{}.jpg", "{}.label", "{}", "'0.label', which holds 'cat'"),
        ("img/{}.jpg", "img/{}.cls", "{}\n", "'img/0.cls', which holds 'cat'"),
        ("{}.jpg", "{}.xml", "<a><label>{}</label></a>", "with 'cat' as its 'label'"),
        ("{}.jpg", "{}.json", '{{"class": "{}"}}', "with 'cat' as its 'class'"),
        ("{}.jpg", "{}.jpg.json", '{{"a": {{"label": "{}"}}}}', "as its 'a.label'"),
        (
            "images/ISIC_{}.jpg",
            "meta/ISIC_{}.json",
            '{{"meta": {{"clinical": {{"age": 5, "diagnosis": "{}"}}}}}}',
            "'meta/ISIC_0.json', with 'cat' as its 'meta.clinical.diagnosis'",
        ),
        (
            "images/{}.jpg",
            "images/{}.txt",
            "a {} that runs",
            "Each image has a text, such as",
        ),
        ("{}.jpg", "{}.json", '{{"url": "{}"}}', "such as '0.json'. graft does"),
    ],
)
def test_texts_that_may_hold_the_label_are_named(
    tmp_path: Path, images: str, texts: str, content: str, what: str
) -> None:
    for number in range(8):
        for name, text in ((images, ""), (texts, content)):
            path = tmp_path / name.format(number)
            path.parent.mkdir(exist_ok=True)
            path.write_text(text.format(("cat", "dog")[number % 2]))
    with pytest.raises(DataError) as stopped:
        list_images(DataConfig(path=str(tmp_path)), "unused")
    message = str(stopped.value)
    assert what in message
    assert "write them into a CSV with the columns path and label" in message
    assert "labelme" not in message
    assert "detection" not in message


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("boxes/{}.json", '{"shapes": [{"label": "cat"}]}', "holds objects as"),
        ("labels/{}.txt", "0 0.5 0.5 0.25 0.25", "holds objects as YOLO"),
    ],
)
def test_boxes_in_another_folder_are_still_boxes(
    tmp_path: Path, name: str, text: str, what: str
) -> None:
    (tmp_path / "images").mkdir()
    for number in range(8):
        (tmp_path / f"images/{number}.jpg").touch()
        path = tmp_path / name.format(number)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    with pytest.raises(DataError, match=what):
        list_images(DataConfig(path=str(tmp_path)), "unused")
