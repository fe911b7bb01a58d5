"""Keys of the `custom_config` that Trainer hands to `run_fn`; imports no TensorFlow."""

from __future__ import annotations

RUN_FN = "graft.trainer.run_fn.run_fn"
"""Dotted path of the function that Trainer calls."""
MODEL_KEY = "model"
"""A `ModelConfig` as JSON."""
TRAINING_KEY = "training"
"""A `TrainingConfig` as JSON."""
CHECKPOINTS_KEY = "checkpoints"
"""Folder or URI of the checkpoints of every training; empty: keep none."""
CODE_FINGERPRINT_KEY = "code_fingerprint"
"""Hash of this package's code: a checkpoint of other code is not gone on from."""
TENSORBOARD_FOLDER = "tensorboard"
"""In the model run: TensorBoard's event files."""
HISTORY_FILE = "history.json"
"""In the model run: metric name to its value per epoch, for the report."""
STORED_FEATURES_STRATEGIES = ("feature_extraction", "linear")
"""Strategies that train on what BottleneckFeatures stored."""
