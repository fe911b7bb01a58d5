"""TFMA's part: the same answers, as metrics per slice in TFMA's own files.

TFMA reads the answers that the gate has already computed, so that each image passes
through each model once. It sets no thresholds: the verdict decides, and nothing else.
"""

from __future__ import annotations

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from components.gate.predictions import Predictions
from trainer import features

ACCURACY_METRIC = "accuracy"
CANDIDATE = "candidate"
BASELINE = "baseline"

_BATCH_SIZE = 1000


def build_eval_config(
    slice_keys: list[str], *, has_baseline: bool
) -> config_pb2.EvalConfig:
    """Return what TFMA computes: accuracy, loss and the confusion matrix, per slice.

    Args:
        slice_keys: Features to slice by, besides the class.
        has_baseline: Whether a second model is compared with.
    """
    names = [CANDIDATE, BASELINE] if has_baseline else [CANDIDATE]
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                name=name if has_baseline else "",
                label_key=features.LABEL_KEY,
                prediction_key=_answers_key(name),
                is_baseline=name == BASELINE,
            )
            for name in names
        ],
        slicing_specs=[
            config_pb2.SlicingSpec(),
            *(
                config_pb2.SlicingSpec(feature_keys=[key])
                for key in (features.CLASS_NAME_KEY, *slice_keys)
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
            ),
        ],
    )


def record_batches(predictions: Predictions) -> list[pa.RecordBatch]:
    """Return labels, answers and slice values as TFMA reads them.

    An image whose class the candidate does not know has no label in its label map; it
    is left out here, and counts as wrong in the verdict.
    """
    names = predictions.candidate.class_names
    place = {name: index for index, name in enumerate(names)}
    truth = predictions.images.class_names
    known = np.flatnonzero([name in place for name in truth])
    columns: dict[str, np.ndarray] = {
        features.LABEL_KEY: np.array(
            [[place[name]] for name in truth[known]], np.int64
        ),
        _answers_key(CANDIDATE): predictions.candidate.probabilities[known],
    }
    if predictions.baseline is not None:
        columns[_answers_key(BASELINE)] = predictions.baseline.in_order_of(names)[known]
    texts = {features.CLASS_NAME_KEY: truth, **predictions.images.slices}
    batches = []
    for start in range(0, len(known), _BATCH_SIZE):
        rows = slice(start, start + _BATCH_SIZE)
        arrays = {key: pa.array(list(values[rows])) for key, values in columns.items()}
        for key, values in texts.items():
            cells = [[str(value).encode()] for value in values[known][rows]]
            arrays[key] = pa.array(cells, pa.list_(pa.binary()))
        batches.append(pa.RecordBatch.from_pydict(arrays))
    return batches


def write_analysis(
    pipeline: beam.Pipeline,
    predictions: Predictions,
    slice_keys: list[str],
    output_path: str,
) -> None:
    """Add TFMA's analysis to a Beam pipeline.

    Args:
        pipeline: Where to.
        predictions: The answers.
        slice_keys: Features to slice by, besides the class.
        output_path: The evaluation artifact, which gets TFMA's files.
    """
    config = build_eval_config(
        slice_keys, has_baseline=predictions.baseline is not None
    )
    _ = (
        pipeline
        | "Answers" >> beam.Create(record_batches(predictions), reshuffle=False)
        | "Analyse"
        >> tfma.ExtractEvaluateAndWriteResults(
            eval_config=config, output_path=output_path
        )
    )


def _answers_key(model_name: str) -> str:
    return f"{model_name}/{features.PROBABILITIES_OUTPUT}"
