"""Nothing is taken for an answer that the model did not give about that image."""

from __future__ import annotations

import hashlib
import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from graft.components.evaluation.answer_store import AnswerStore

MODEL = {"saved_model.pb": "1" * 64, "variables/variables.index": "2" * 64}
KEYS = [hashlib.sha256(bytes([number])).digest() for number in range(4)]
VALUES = np.arange(8, dtype=np.float32).reshape(4, 2) / 8


@pytest.fixture
def folder(tmp_path: Path) -> str:
    """A store with answers about the first three images."""
    store = AnswerStore(str(tmp_path / "features"), MODEL, 2)
    store.add("asked", KEYS[:2], VALUES[:2])
    store.add("scored", KEYS[1:3], VALUES[1:3] + 1)
    return str(tmp_path / "features")


def test_answers_are_found_again_and_those_of_the_model_come_first(folder: str) -> None:
    found = AnswerStore(folder, MODEL, 2).find(KEYS)
    assert sorted(found) == sorted(KEYS[:3])
    np.testing.assert_array_equal(found[KEYS[0]], VALUES[0])
    np.testing.assert_array_equal(found[KEYS[1]], VALUES[1])
    np.testing.assert_array_equal(found[KEYS[2]], VALUES[2] + 1)
    assert list(AnswerStore(folder, MODEL, 2).find(KEYS, ["asked"])) == KEYS[:2]


def test_one_changed_file_makes_another_model(folder: str) -> None:
    for changed in (
        {**MODEL, "saved_model.pb": "3" * 64},
        {**MODEL, "assets.extra/class_names.txt": "4" * 64},
        dict(list(MODEL.items())[:1]),
    ):
        assert AnswerStore(folder, changed, 2).find(KEYS) == {}
    reordered = dict(reversed(MODEL.items()))
    assert len(AnswerStore(folder, reordered, 2).find(KEYS)) == 3


@pytest.mark.parametrize("damage", ["edited", "cut", "emptied", "a folder"])
def test_a_damaged_file_is_no_answer_and_told(
    folder: str, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    (path,) = (
        path
        for path in Path(folder).rglob("*.arrow")
        if VALUES[0].tobytes() in path.read_bytes()
    )
    content = path.read_bytes()
    if damage == "edited":
        # The answers about the first image swapped: a valid file of another content.
        place = content.find(VALUES[0].tobytes())
        swapped = VALUES[0][::-1].tobytes()
        path.write_bytes(content[:place] + swapped + content[place + 8 :])
    elif damage == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(content[: len(content) // 2 if damage == "cut" else 0])
    with caplog.at_level(logging.WARNING):
        found = AnswerStore(folder, MODEL, 2).find(KEYS)
    assert sorted(found) == sorted(KEYS[1:3])
    np.testing.assert_array_equal(found[KEYS[1]], VALUES[1] + 1)
    assert f"{path} is damaged" in caplog.text


def test_what_is_no_number_is_no_answer(folder: str) -> None:
    values = np.array([[np.nan, 0.5], [np.inf, 0.5], [0.25, 0.75]], np.float32)
    other = {**MODEL, "saved_model.pb": "4" * 64}
    AnswerStore(folder, other, 2).add("asked", KEYS[:3], values)
    found = AnswerStore(folder, other, 2).find(KEYS)
    assert list(found) == KEYS[2:3]
    np.testing.assert_array_equal(found[KEYS[2]], values[2])


def test_without_a_store_nothing_is_kept() -> None:
    store = AnswerStore("", MODEL, 2)
    store.add("asked", KEYS, VALUES)
    assert store.find(KEYS) == {}


def test_a_store_that_cannot_be_used_is_told_and_stops_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        store = AnswerStore(str(tmp_path / "file" / "features"), MODEL, 2)
        store.add("asked", KEYS, VALUES)
        assert store.find(KEYS) == {}
    assert "can't be used, so the model is asked" in caplog.text


def test_an_answer_is_kept_once(folder: str) -> None:
    before = len(list(Path(folder).rglob("*.arrow")))
    AnswerStore(folder, MODEL, 2).add("asked", KEYS[:2], VALUES[:2])
    assert len(list(Path(folder).rglob("*.arrow"))) == before


def test_a_store_that_is_pruned_meanwhile_is_told_and_stops_nothing(
    folder: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = AnswerStore(folder, MODEL, 2)
    shutil.rmtree(folder)
    with caplog.at_level(logging.WARNING):
        assert store.find(KEYS) == {}
    assert "can't be used, so the model is asked" in caplog.text
