"""The report's selection of predictions, and its timings."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from graft.components.evaluation.predictions import (
    Answers,
    EvaluatedImages,
    Predictions,
)
from graft.components.evaluation.verdict import Verdict
from graft.components.report.contents import (
    count_confusion,
    describe_data,
    load_quarantine,
    most_confused,
    worst_mistakes,
)
from graft.components.report.timings import fill_in_timings, timings_table, with_timings

NAMES = ("cat", "dog", "fox")


def predictions() -> Predictions:
    truth = ["cat", "cat", "dog", "dog", "owl"]
    probabilities = [
        [0.9, 0.1, 0.0],
        [0.2, 0.7, 0.1],
        [0.0, 0.4, 0.6],
        [0.1, 0.8, 0.1],
        [0.0, 0.05, 0.95],
    ]
    images = EvaluatedImages(
        class_names=np.array(truth),
        content_hashes=np.array([str(index) for index in range(5)]),
        filenames=np.array([f"{index}.png" for index in range(5)]),
    )
    return Predictions(images, Answers(NAMES, np.array(probabilities, np.float32)))


def test_confusion_counts_rows_by_truth() -> None:
    names, counts = count_confusion(predictions())
    assert names == ("cat", "dog", "fox", "owl")
    assert counts.tolist() == [
        [1, 1, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 0, 0],
        [0, 0, 1, 0],
    ]
    found = {(each.true_name, each.answer) for each in most_confused(names, counts)}
    assert found == {("cat", "dog"), ("dog", "fox"), ("owl", "fox")}


def test_the_surest_mistakes_come_first() -> None:
    mistakes, number, _ = worst_mistakes(predictions(), [])
    assert number == 3
    assert [each.filename for each in mistakes] == ["4.png", "1.png", "2.png"]
    assert mistakes[0].probability_of_truth == 0.0  # A class the model does not know.
    assert mistakes[1].probability_of_truth == np.float32(0.2)
    assert mistakes[0].picture is None


def test_quarantined_files_are_shown_if_they_open(tmp_path: Path) -> None:
    data, artifact = tmp_path / "data", tmp_path / "quarantine"
    data.mkdir()
    artifact.mkdir()
    Image.new("RGB", (4, 4)).save(data / "tiny.png")
    (data / "bad.jpg").write_bytes(b"no image")
    lines = [
        {"filename": name, "reason": "why"}
        for name in ("tiny.png", "bad.jpg", "gone.png")
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (artifact / "quarantine.jsonl").write_text(text)
    shown = load_quarantine(str(artifact), str(data))
    assert [each.picture is not None for each in shown] == [True, False, False]
    assert shown[0].picture is not None
    assert shown[0].picture.startswith("data:image/jpeg;base64,")


def test_timings_are_filled_in_and_replaced() -> None:
    page = f"<h2>Timings</h2>{timings_table({})}<h2>Next</h2>"
    once = with_timings(page, {"Trainer": 12.0})
    twice = with_timings(once, {"Trainer": 13.0, "Pu<sher": 1.0})
    assert "12.0" in once
    assert "12.0" not in twice
    assert "13.0" in twice
    assert "Pu&lt;sher" in twice
    assert twice.endswith("<h2>Next</h2>")


def test_a_page_keeps_the_timings_of_the_run_that_made_it(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(f"<h2>Timings</h2>{timings_table({})}", encoding="utf-8")
    fill_in_timings(str(page), {"Trainer": 12.0})
    assert "12.0" in page.read_text(encoding="utf-8")
    # The next run finds the page in its cache.
    fill_in_timings(str(page), {"Trainer": 0.1})
    assert "12.0" in page.read_text(encoding="utf-8")


def test_data_are_described_beside_those_of_production() -> None:
    now = {"brightness": {"32 to 64": 30, "0 to 32": 10}, "class": {"a": 1}}
    then = {"brightness": {"32 to 64": 5, "224 and more": 5}}
    drift = ({"name": "brightness", "divergence": 0.4, "is_drifted": True},)
    verdict = Verdict(
        True, (), {}, drift=drift, data_profile=now, baseline_data_profile=then
    )
    brightness, classes = describe_data(verdict)
    assert brightness.rows == (
        ("0 to 32", 0.25, 0.0),
        ("32 to 64", 0.75, 0.5),
        ("224 and more", 0.0, 0.5),
    )
    assert (brightness.is_drifted, brightness.divergence) == (True, 0.4)
    assert brightness.greatest == 0.75
    assert classes.rows == (("a", 1.0, None),)
    assert (classes.is_drifted, classes.divergence) == (False, None)


def test_of_many_classes_those_that_moved_most_are_shown() -> None:
    now = {"class": {f"c{index:02d}": 10 for index in range(30)}}
    then = {"class": {**now["class"], "c17": 500}}
    verdict = Verdict(True, (), {}, data_profile=now, baseline_data_profile=then)
    (classes,) = describe_data(verdict)
    assert "c17" in [name for name, _, _ in classes.rows]
    assert len(classes.rows) + classes.num_hidden == 30
