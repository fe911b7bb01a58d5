"""TFMA's part: the same answers, as metrics per slice in TFMA's own files.

TFMA reads the answers that the gate has already computed, so that each image passes
through each model once. It sets no thresholds: the verdict decides, and nothing else.

TFMA's metrics are applied here without TFMA's Beam pipeline, whose 34 stages took 4 of
the gate's 10 processor seconds on 178 images. They are the same computations, and
`tfma.load_eval_result` reads the same files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf import json_format
from tensorflow_model_analysis.constants import METRICS_KEY, PLOTS_KEY
from tensorflow_model_analysis.metrics import metric_specs, metric_types
from tensorflow_model_analysis.proto import config_pb2
from tensorflow_model_analysis.version import VERSION
from tensorflow_model_analysis.writers import metrics_plots_and_validations_writer
from tfx.utils import io_utils

from graft.components.evaluation.predictions import Predictions
from graft.contract import example_keys, signature_names
from graft.contract.label_map import NO_LABEL

ACCURACY_METRIC = "accuracy"
CANDIDATE = "candidate"
BASELINE = "baseline"

EVAL_CONFIG_FILE = "eval_config.json"
_ONE_SHARD = "{}-00000-of-00001.tfrecord"

Slice = tuple[tuple[str, str], ...]
"""Feature and value; empty for all images."""


def build_eval_config(
    slice_keys: Sequence[str], *, has_baseline: bool
) -> config_pb2.EvalConfig:
    """Return what TFMA computes: accuracy, loss and the confusion matrix, per slice.

    Args:
        slice_keys: Features to slice by, besides the class.
        has_baseline: Whether a second model is compared with.
    """
    names = [CANDIDATE, BASELINE] if has_baseline else [""]
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                name=name,
                label_key=example_keys.LABEL_KEY,
                prediction_key=signature_names.PROBABILITIES_OUTPUT,
                is_baseline=name == BASELINE,
            )
            for name in names
        ],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(
                config_pb2.SlicingSpec(feature_keys=[key])
                for key in (example_keys.CLASS_NAME_KEY, *slice_keys)
            ),
        ],
        metrics_specs=[
            config_pb2.MetricsSpec(
                metrics=[
                    config_pb2.MetricConfig(class_name="ExampleCount"),
                    config_pb2.MetricConfig(
                        class_name="SparseCategoricalAccuracy",
                        config=f'{{"name": "{ACCURACY_METRIC}"}}',
                    ),
                    config_pb2.MetricConfig(class_name="SparseCategoricalCrossentropy"),
                    config_pb2.MetricConfig(class_name="MultiClassConfusionMatrixPlot"),
                ],
                model_names=names,
            ),
        ],
    )


def write_analysis(
    predictions: Predictions, slice_keys: Sequence[str], output_path: str
) -> None:
    """Write TFMA's config, metrics and plots.

    An image whose class the candidate does not know has no label in its label map; it
    is left out here, and counts as wrong in the verdict.

    Args:
        predictions: The answers.
        slice_keys: Features to slice by, besides the class.
        output_path: The evaluation artifact, which gets TFMA's files.
    """
    config = build_eval_config(
        slice_keys, has_baseline=predictions.baseline is not None
    )
    rows, inputs = _metric_inputs(predictions)
    # Derived metrics come with copies of what they derive from.
    computations = dict.fromkeys(
        metric_specs.to_computations(list(config.metrics_specs), eval_config=config)
    )
    for computation in computations:
        if isinstance(computation, metric_types.MetricComputation):
            computation.combiner.setup()
    metrics, plots = [], []
    for key, chosen in _slices(predictions, rows):
        found = _compute(computations, [inputs[row] for row in chosen])
        metrics.append((key, _only(found, metric_types.MetricKey)))
        plots.append((key, _only(found, metric_types.PlotKey)))
    writer = metrics_plots_and_validations_writer
    for kind, convert, values in (
        (METRICS_KEY, writer.convert_slice_metrics_to_proto, metrics),
        (PLOTS_KEY, writer.convert_slice_plots_to_proto, plots),
    ):
        path = os.path.join(output_path, _ONE_SHARD.format(kind))
        with tf.io.TFRecordWriter(path) as file:
            for value in values:
                file.write(convert(value, None).SerializeToString())
    run = config_pb2.EvalRun(eval_config=config, version=VERSION)
    io_utils.write_string_file(
        os.path.join(output_path, EVAL_CONFIG_FILE), json_format.MessageToJson(run)
    )


def _metric_inputs(
    predictions: Predictions,
) -> tuple[np.ndarray, list[metric_types.StandardMetricInputs]]:
    """Return the rows of images whose class is known, and TFMA's view of each."""
    names = predictions.candidate.class_names
    labels = predictions.candidate.labels_of(predictions.images.class_names)
    rows = np.flatnonzero(labels != NO_LABEL)
    answers = {CANDIDATE: predictions.candidate.probabilities}
    if predictions.baseline is not None:
        answers[BASELINE] = predictions.baseline.in_order_of(names)
    inputs = []
    for row in rows:
        label = np.array([labels[row]], np.int64)
        probabilities: Any = {name: each[row] for name, each in answers.items()}
        inputs.append(
            metric_types.StandardMetricInputs(
                label={name: label for name in answers} if len(answers) > 1 else label,
                prediction=probabilities
                if len(answers) > 1
                else probabilities[CANDIDATE],
            )
        )
    return rows, inputs


def _slices(
    predictions: Predictions, rows: np.ndarray
) -> Iterator[tuple[Slice, np.ndarray]]:
    """Yield each slice's key and the positions of its images among `rows`."""
    yield (), np.arange(len(rows))
    truth = predictions.images.class_names
    columns = {example_keys.CLASS_NAME_KEY: truth, **predictions.images.slices}
    for feature, values in columns.items():
        known = values[rows]
        for value in np.unique(known):
            yield ((feature, str(value)),), np.flatnonzero(known == value)


def _compute(
    computations: Iterable[Any], inputs: Sequence[metric_types.StandardMetricInputs]
) -> dict[Any, Any]:
    """Return what TFMA's computations come to on some images."""
    found: dict[Any, Any] = {}
    for computation in computations:
        if isinstance(computation, metric_types.DerivedMetricComputation):
            found.update(computation.result(found))
            continue
        combiner = computation.combiner
        state = combiner.create_accumulator()
        for each in inputs:
            state = combiner.add_input(state, each)
        found.update(combiner.extract_output(state))
    diffs = {
        key.make_diff_key(): value - found[key.make_baseline_key(BASELINE)]
        for key, value in found.items()
        if isinstance(key, metric_types.MetricKey)
        and key.model_name == CANDIDATE
        and np.isscalar(value)
        and key.make_baseline_key(BASELINE) in found
    }
    return found | diffs


def _only(found: dict[Any, Any], kind: type[Any]) -> dict[Any, Any]:
    return {
        key: value
        for key, value in found.items()
        # By TFMA's convention a private metric serves others alone.
        if type(key) is kind and not key.name.startswith("_")
    }
