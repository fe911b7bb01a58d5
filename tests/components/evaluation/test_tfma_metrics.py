"""TFMA's files hold the metrics of the gate's predictions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow_model_analysis as tfma

from graft.components.evaluation.predictions import (
    Answers,
    EvaluatedImages,
    Predictions,
)
from graft.components.evaluation.tfma_metrics import write_tfma_metrics

_NAMES = ("blue", "red")
_TRUTH = ["blue", "blue", "red", "red", "green"]
"""The candidate knows no green."""
_SHARES_OF_RED = np.float32([0.1, 0.6, 0.9, 0.8, 0.5])


def _answers(shares_of_red: np.ndarray, names: tuple[str, ...] = _NAMES) -> Answers:
    return Answers(names, np.stack([1 - shares_of_red, shares_of_red], axis=1))


def _predictions(baseline: Answers | None = None) -> Predictions:
    return Predictions(
        EvaluatedImages(
            class_names=np.array(_TRUTH),
            content_hashes=np.array(["x"] * 5),
            filenames=np.array(["f"] * 5),
            slices={"image/source": np.array(["a", "b", "a", "b", "a"])},
        ),
        _answers(_SHARES_OF_RED),
        baseline,
    )


def _values(
    folder: Path, metric: str, model: str = ""
) -> dict[tuple[tuple[str, str], ...], float]:
    result = tfma.load_eval_result(str(folder), model_name=model or None)
    return {
        key: values[metric]["doubleValue"]
        for key, values in result.get_metrics_for_all_slices().items()
    }


def test_every_slice_has_its_accuracy_and_loss(tmp_path: Path) -> None:
    write_tfma_metrics(_predictions(), ["image/source"], str(tmp_path))
    assert _values(tmp_path, "accuracy") == {
        (): 0.75,
        (("image/class/text", "blue"),): 0.5,
        (("image/class/text", "red"),): 1.0,
        (("image/source", "a"),): 1.0,
        (("image/source", "b"),): 0.5,
    }
    right = np.array([0.9, 0.4, 0.9, 0.8])
    losses = _values(tmp_path, "sparse_categorical_crossentropy")
    assert losses[()] == pytest.approx(-np.log(right).mean(), rel=1e-5)
    plots = dict(tfma.load_eval_result(str(tmp_path)).plots)
    assert "multiClassConfusionMatrixAtThresholds" in str(plots[()])


def test_both_models_and_their_difference_are_there(tmp_path: Path) -> None:
    # Its classes are in another order, and only red images are right.
    baseline = _answers(np.float32([0.4, 0.4, 0.3, 0.3, 0.5]), ("red", "blue"))
    write_tfma_metrics(_predictions(baseline), [], str(tmp_path))
    assert _values(tmp_path, "accuracy", "candidate")[()] == 0.75
    assert _values(tmp_path, "accuracy", "baseline")[()] == 0.5
    result = tfma.load_eval_result(str(tmp_path), model_name="candidate")
    assert result.get_metrics_for_slice()["accuracy_diff"]["doubleValue"] == 0.25
