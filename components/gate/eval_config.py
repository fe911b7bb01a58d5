"""The gate as TFMA's EvalConfig."""

from __future__ import annotations

import tensorflow_model_analysis as tfma

from components.gate.config import GateConfig
from trainer import features
from trainer.export import LABELS_FUNCTION

ACCURACY_METRIC = "accuracy"


def build_eval_config(gate: GateConfig) -> tfma.EvalConfig:
    """Return the evaluation of the exported model on raw examples.

    The model's own signature takes the serialized examples, so that what is measured is
    what will serve; labels come from the model's own label map.

    Args:
        gate: The floors.
    """
    floor = tfma.MetricThreshold(
        value_threshold=tfma.GenericValueThreshold(lower_bound={"value": gate.min_accuracy})
    )
    return tfma.EvalConfig(
        model_specs=[
            tfma.ModelSpec(
                signature_name=features.SERVING_SIGNATURE,
                preprocessing_function_names=[LABELS_FUNCTION],
                label_key=features.LABEL_KEY,
                prediction_key=features.PROBABILITIES_OUTPUT,
            )
        ],
        slicing_specs=[
            tfma.SlicingSpec(),
            tfma.SlicingSpec(feature_keys=[features.CLASS_NAME_KEY]),
        ],
        metrics_specs=[
            tfma.MetricsSpec(
                metrics=[
                    tfma.MetricConfig(class_name="ExampleCount"),
                    tfma.MetricConfig(
                        class_name="SparseCategoricalAccuracy",
                        config=f'{{"name": "{ACCURACY_METRIC}"}}',
                    ),
                    tfma.MetricConfig(class_name="MultiClassConfusionMatrixPlot"),
                ],
            ),
            tfma.MetricsSpec(
                metrics=[
                    tfma.MetricConfig(
                        class_name="SparseCategoricalAccuracy",
                        config=f'{{"name": "{ACCURACY_METRIC}"}}',
                        threshold=floor,
                    )
                ],
            ),
        ],
    )
