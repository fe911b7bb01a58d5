"""Labels that are splits, or classes with scores, stop; names of classes don't."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from graft.components.ingestion.listing import list_images
from graft.components.ingestion.sources.config import DataConfig
from graft.components.ingestion.sources.source import Listing
from graft.contract.errors import DataError


def _list(
    folder: Path, labels: Sequence[str], class_names: tuple[str, ...] | None = None
) -> Listing:
    path = folder / "list.csv"
    rows = [f"img/{number}.png\t{label}" for number, label in enumerate(labels)]
    path.write_text("\n".join(["path\tlabel", *rows]))
    return list_images(DataConfig(path=str(path), class_names=class_names), "unused")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["train", "test"], "line 2: all labels are names of splits"),
        (["train", "val", "test"], "names of splits"),
        (["Training", "Testing"], "names of splits"),
        (["entrenamiento", "prueba"], "names of splits"),
        (["cat 0.9", "dog 0.8", "cat 0.7"], "write the class alone, such as 'cat'"),
        (["cat:0.9", "dog:0.8", "cat:.75"], "a class and a score"),
        (["cat (0.9)", "dog (1.0)", "cat (0.7)"], "a class and a score"),
        (["cat@0.9", "dog@0.8", "cat@0.7"], "such as 'cat'"),
        (["cat/0.9", "dog/0.8", "cat/0.7"], "such as 'cat'"),
        (["cat [0,9]", "dog [0,8]", "cat [1,0]"], "such as 'cat'"),
        (["cat - 90%", "dog - 80%", "cat - 70%"], "such as 'cat'"),
        (["cat 9.1e-01", "dog 3e-2", "cat 8.1e-01"], "such as 'cat'"),
        (["0.9 cat", "0.8 dog", "0.7 cat"], "such as 'cat'"),
        (["0.91: cat", "0.82: dog", "1.0: cat"], "such as 'cat'"),
        (["90% cat", "80% dog", "70% cat"], "such as 'cat'"),
        (["(0.9) cat", "(0.8) dog", "(0.7) cat"], "such as 'cat'"),
        (["tr", "te"], "names of splits"),
        (["tr", "va", "te"], "names of splits"),
    ],
)
def test_labels_of_other_things_stop(
    tmp_path: Path, labels: list[str], message: str
) -> None:
    with pytest.raises(DataError) as caught:
        _list(tmp_path, labels)
    assert message in str(caught.value)
    assert "list them in `class_names`" in str(caught.value)
    _list(tmp_path, labels, class_names=tuple(labels))


@pytest.mark.parametrize(
    "labels",
    [
        ["train", "bus"],
        ["train", "trains"],
        ["C 1.8", "C 2.0", "C 2.2"],
        ["v1.0", "v2.0"],
        ["10.0", "20.0"],
        ["cat 1", "cat 2"],
        ["v1.0.1", "v1.0.2", "v1.0.3"],
        ["0.5 mm", "0.8 mm", "0.5 cm"],
        ["1.5% milk", "3% milk"],
        ["tr", "te", "de"],
        ["tr", "de"],
        ["3 cats", "4 dogs", "5 cats"],
    ],
)
def test_names_of_classes_are_read(tmp_path: Path, labels: list[str]) -> None:
    found = _list(tmp_path, labels)
    assert [ref.class_name for ref in found.refs] == labels
    assert not any("score" in each or "splits" in each for each in found.warnings)


@pytest.mark.parametrize("labels", [["lens 0.5", "lens 2"], ["cat 0.9", "dog 0.8"]])
def test_a_label_that_may_have_a_score_is_told(
    tmp_path: Path, labels: list[str]
) -> None:
    (warning,) = _list(tmp_path, labels).warnings
    assert f"may be a class and a score: {labels[0]!r} (1)" in warning


@pytest.mark.parametrize("word", ["træning", "trening", "träning", "entraînement"])
def test_words_of_other_languages_are_splits(tmp_path: Path, word: str) -> None:
    with pytest.raises(DataError, match="all labels are names of splits"):
        _list(tmp_path, [word, "test"])
