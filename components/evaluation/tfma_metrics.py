"""Write TensorFlow Model Analysis' metrics and plots per slice.

TFMA reads the gate's predictions, so that each model sees each image once. It gets no
thresholds, because only the verdict decides.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import tensorflow_model_analysis as tfma
from tensorflow_model_analysis.proto import config_pb2

from graft.components.evaluation.predictions import Predictions
from graft.contract import example_keys
from graft.contract.label_map import NO_LABEL

ACCURACY_METRIC = "accuracy"
CANDIDATE = "candidate"
BASELINE = "baseline"


def build_eval_config(
    slice_keys: Sequence[str], *, has_baseline: bool
) -> config_pb2.EvalConfig:
    """Return TFMA's config: accuracy, loss and the confusion matrix, per slice.

    Args:
        slice_keys: Features to slice by, besides the class.
        has_baseline: Whether there is a baseline to compare with.
    """
    names = [CANDIDATE, BASELINE] if has_baseline else [CANDIDATE]
    return config_pb2.EvalConfig(
        model_specs=[
            config_pb2.ModelSpec(
                name=name if has_baseline else "",
                label_key=example_keys.LABEL_KEY,
                prediction_key=name,
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
                model_names=names if has_baseline else [""],
            ),
        ],
    )


def write_tfma_metrics(
    predictions: Predictions, slice_keys: Sequence[str], output_path: str
) -> None:
    """Write TFMA's config, metrics and plots; `tfma.load_eval_result` reads them.

    Images of a class that the candidate does not know have no label. TFMA's metrics
    leave them out. The verdict counts them as wrong.

    Args:
        predictions: The predictions of the gate.
        slice_keys: Features to slice by, besides the class.
        output_path: Folder of the evaluation artifact.
    """
    truth = predictions.images.class_names
    labels = predictions.candidate.labels_of(truth)
    rows = labels != NO_LABEL
    columns = {
        example_keys.LABEL_KEY: labels[rows].tolist(),
        CANDIDATE: predictions.candidate.probabilities[rows].tolist(),
        example_keys.CLASS_NAME_KEY: truth[rows].tolist(),
        **{
            key: values[rows].tolist()
            for key, values in predictions.images.slices.items()
        },
    }
    if predictions.baseline is not None:
        columns[BASELINE] = predictions.baseline.in_order_of(
            predictions.candidate.class_names
        )[rows].tolist()
    config = build_eval_config(
        slice_keys, has_baseline=predictions.baseline is not None
    )
    tfma.analyze_raw_data(pa.table(columns).to_pandas(), config, output_path)
