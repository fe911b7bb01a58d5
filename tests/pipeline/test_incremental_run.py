"""A retrain that uses what earlier runs left gives what a cold run gives."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graft.components.evaluation.predictions import Answers, Predictions

NAME = "digits"
TOLERANCE = 1e-4
"""For linear heads: another order of sums ends at another last digit."""


def evaluation_of(output: Path) -> tuple[dict[str, Any], Predictions]:
    """Return the latest verdict and its predictions."""
    folders = (output / "pipelines" / NAME / "artifacts/Evaluator/evaluation").iterdir()
    folder = max(folders, key=lambda each: int(each.name))
    verdict = json.loads((folder / "verdict.json").read_text())
    return verdict, Predictions.load(str(folder / "predictions.npz"))


def start_of(output: Path) -> str:
    """Return what the latest training tells of its start."""
    folders = (output / "pipelines" / NAME / "artifacts/Trainer/model").iterdir()
    folder = max(folders, key=lambda each: int(each.name))
    start: str = json.loads((folder / "training.json").read_text())["start"]
    return start


def by_image(predictions: Predictions, answers: Answers | None) -> np.ndarray:
    assert answers is not None
    order = np.argsort(predictions.images.content_hashes)
    rows: np.ndarray = answers.probabilities[order]
    return rows


def without_times(verdict: dict[str, Any]) -> dict[str, Any]:
    """Return what is decided: no times, no rounding of the last digits."""
    decided = {
        key: verdict[key]
        for key in ("is_blessed", "baseline", "judged_against", "data_profile", "drift")
    }
    decided["outcomes"] = [
        (rule["rule"], rule["subject"], rule["outcome"]) for rule in verdict["rules"]
    ]
    for key in ("accuracy", "balanced_accuracy", "num_test_images"):
        decided[key] = verdict["metrics"][key]
    decided["comparison"] = {
        key: verdict["comparison"][key]
        for key in ("num_images", "num_gained", "num_lost", "outcome")
    }
    decided["recalls"] = [
        (each["name"], each["recall"], each["baseline_recall"])
        for each in verdict["classes"]
    ]
    return decided


@pytest.mark.large
@pytest.mark.timeout(900)
def test_an_incremental_and_a_cold_run_agree(
    run_graft, digit_folder, small, tmp_path
) -> None:
    """Three whole runs take minutes."""
    data, warm, cold = (tmp_path / name for name in (NAME, "warm", "cold"))
    shutil.copytree(digit_folder, data)
    later = sorted(data.glob("*/*.png"))[::6]
    aside = tmp_path / "aside"
    aside.mkdir()
    moved = [(path, aside / f"{index}.png") for index, path in enumerate(later)]
    for path, other in moved:
        path.rename(other)

    def run(output: Path, *settings: str) -> None:
        words = [word for each in settings for word in ("--set", each)]
        done = run_graft(
            *("run", "--data", data, "--output", output, *small, *words), timeout=400
        )
        assert done.returncode == 0, done.stdout + done.stderr

    sample = ("gate.answers.sample=5", "gate.answers.ask_all_below=0")
    run(warm, *sample)
    for path, other in moved:
        other.rename(path)
    # The cold run finds the same model in production, and nothing else.
    shutil.copytree(warm / "serving", cold / "serving")
    run(warm, *sample)
    assert start_of(warm).startswith("started from version")
    remembers = ("features.cache=none", "gate.answers.remember=false")
    run(cold, *remembers, "training.warm_start=false")
    assert start_of(cold).startswith("started from nothing")

    incremental, quick = evaluation_of(warm)
    complete, asked = evaluation_of(cold)
    ways = incremental["answers"]
    assert ways["candidate"]["num_asked"] == 5
    assert ways["candidate"]["num_scored"] > 0
    assert ways["baseline"]["num_remembered"] > 0
    assert complete["answers"]["candidate"]["num_scored"] == 0
    assert complete["answers"]["baseline"]["num_remembered"] == 0
    assert without_times(incremental) == without_times(complete)
    for one, other in (
        (by_image(quick, quick.candidate), by_image(asked, asked.candidate)),
        (by_image(quick, quick.baseline), by_image(asked, asked.baseline)),
    ):
        np.testing.assert_allclose(one, other, rtol=0, atol=TOLERANCE)
    found, expected = (
        json.loads(max(output.rglob("quality.json"), key=_number).read_text())
        for output in (warm, cold)
    )
    assert found == expected


def _number(path: Path) -> int:
    return int(path.parent.name)
