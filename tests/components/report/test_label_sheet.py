"""The sheet of labels to look at: its rows, the CSV, and the page of the same order."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from graft.components.evaluation.predictions import (
    PREDICTIONS_FILE,
    Answers,
    EvaluatedImages,
    Predictions,
)
from graft.components.ingestion.fixes.applied_fixes import FIXES_FILE, AppliedFixes
from graft.components.ingestion.fixes.fix_rows import COLUMNS, read_fix_files
from graft.components.quality.artifacts import DOUBTFUL_FILE
from graft.components.report import label_sheet
from graft.components.report.label_sheet import DOUBTFUL, MISTAKE, Sheet
from graft.contract import example_keys


def _encoded(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _hash(seed: int) -> str:
    return hashlib.sha256(_encoded(seed)).hexdigest()


@pytest.fixture
def uris(tmp_path: Path) -> tuple[str, str, str]:
    """A run of which two labels are doubtful, and two of three test images wrong."""
    examples, quality, evaluation = (tmp_path / each for each in "abc")
    for split, seeds in (("train", (1, 2)), ("test", (3, 4, 5))):
        (examples / f"Split-{split}").mkdir(parents=True)
        with tf.io.TFRecordWriter(str(examples / f"Split-{split}" / "data")) as writer:
            for seed in seeds:
                example = tf.train.Example()
                feature = example.features.feature
                for key, value in (
                    (example_keys.IMAGE_KEY, _encoded(seed)),
                    (example_keys.CONTENT_HASH_KEY, _hash(seed).encode()),
                ):
                    feature[key].bytes_list.value.append(value)
                writer.write(example.SerializeToString())
    quality.mkdir()
    lines = [
        {
            "content_hash": _hash(seed),
            "filename": name,
            "label": "cat",
            "suggestion": "dög",
            "confidence": confidence,
        }
        for seed, name, confidence in ((2, "=1+1.png", 0.8), (1, "<b>.png", 0.75))
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (quality / DOUBTFUL_FILE).write_text(text)
    evaluation.mkdir()
    images = EvaluatedImages(
        np.array(["cat", "cat", "dög"]),
        np.array([_hash(seed) for seed in (3, 4, 5)]),
        np.array(["3.png", "4.png", "5.png"]),
    )
    answers = Answers(
        ("cat", "dög"), np.array([[0.4, 0.6], [0.1, 0.9], [0.2, 0.8]], np.float32)
    )
    Predictions(images, answers).save(str(evaluation / PREDICTIONS_FILE))
    return str(examples), str(quality), str(evaluation)


def test_doubtful_labels_come_first_then_the_surest_mistakes(uris):
    sheet = label_sheet.gather_rows(*uris)
    rows = [(row.path, row.label, row.suggestion, row.why) for row in sheet.rows]
    assert rows == [
        ("=1+1.png", "cat", "dög", DOUBTFUL),
        ("<b>.png", "cat", "dög", DOUBTFUL),
        ("4.png", "cat", "dög", MISTAKE),
        ("3.png", "cat", "dög", MISTAKE),
    ]
    assert sheet.rows[2].confidence == pytest.approx(0.9)
    assert (sheet.num_confirmed, sheet.has_doubtful) == (0, True)


def test_images_that_a_person_decided_on_are_left_out(uris):
    fixes = [
        {"content_hash": _hash(2), "action": "confirmed"},
        {"content_hash": _hash(3), "action": "relabelled"},
    ]
    applied = AppliedFixes([], {}, {}, {}, [], fixes)
    Path(uris[0], FIXES_FILE).write_text(applied.to_json())
    sheet = label_sheet.gather_rows(*uris)
    assert [row.path for row in sheet.rows] == ["<b>.png", "4.png"]
    assert sheet.num_confirmed == 2


def test_a_run_without_the_check_has_mistakes_alone(uris):
    Path(uris[1], DOUBTFUL_FILE).unlink()
    sheet = label_sheet.gather_rows(*uris)
    assert [row.why for row in sheet.rows] == [MISTAKE, MISTAKE]
    assert not sheet.has_doubtful


def test_the_csv_comes_back_as_it_was_written(uris, tmp_path):
    text = label_sheet.to_csv(label_sheet.gather_rows(*uris).rows)
    assert text.startswith("\ufeff")
    rows = list(csv.reader(io.StringIO(text[1:])))
    assert rows[0] == list(COLUMNS)
    assert rows[1][1] == "'=1+1.png"
    path = tmp_path / "fixes.csv"
    path.write_text(text, encoding="utf-8")
    (untouched,) = read_fix_files([str(path)])
    assert (untouched.num_rows, untouched.fixes) == (4, [])
    rows[1][COLUMNS.index("action")] = "accept"
    edited = io.StringIO()
    csv.writer(edited, delimiter=";").writerows(rows)
    path.write_text(edited.getvalue(), encoding="utf-8-sig")
    (fix,) = read_fix_files([str(path)])[0].fixes
    assert (fix.path, fix.label, fix.new_label) == ("=1+1.png", "cat", "dög")
    assert fix.content_hash == _hash(2)


def test_the_page_shows_the_pictures_in_the_order_of_the_rows(uris):
    sheet = label_sheet.gather_rows(*uris)
    page = label_sheet.to_page(sheet, "fixes.csv")
    names = re.findall(r'<img src="data:image/jpeg;base64,[^"]+" alt="([^"]+)"', page)
    assert names == ["=1+1.png", "&lt;b&gt;.png", "4.png", "3.png"]
    assert re.findall(r'id="row-(\d)"', page) == ["1", "2", "3", "4"]
    assert "<b>.png" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)


def test_the_page_stays_small(uris, monkeypatch):
    sheet = label_sheet.gather_rows(*uris)
    whole = len(label_sheet.to_page(sheet, "fixes.csv"))
    monkeypatch.setattr(label_sheet, "MOST_PICTURE_BYTES", whole // 3)
    page = label_sheet.to_page(sheet, "fixes.csv")
    assert page.count("<img") == 1
    assert "Pictures of 1 of 4 rows" in page
    monkeypatch.setattr(label_sheet, "MOST_PICTURES", 0)
    assert "<img" not in label_sheet.to_page(sheet, "fixes.csv")


def test_a_run_without_findings_has_an_empty_page(tmp_path):
    page = label_sheet.to_page(Sheet((), 0, True, str(tmp_path)), "fixes.csv")
    assert "0 images" in page
