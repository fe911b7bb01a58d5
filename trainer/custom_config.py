"""Keys of the `custom_config` that Trainer hands to `run_fn`; imports no TensorFlow."""

from __future__ import annotations

RUN_FN = "trainer.run_fn.run_fn"
"""Dotted path of the function that Trainer calls."""
MODEL_KEY = "model"
"""A `ModelConfig` as JSON."""
TRAINING_KEY = "training"
"""A `TrainingConfig` as JSON."""
HISTORY_FILE = "history.json"
"""In the model run: metric name to its value per epoch, for the report."""
STORED_FEATURES_STRATEGIES = ("feature_extraction", "linear")
"""Strategies that train on what BottleneckFeatures stored."""
