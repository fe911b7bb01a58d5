"""Keys of the `custom_config` that Trainer passes to `run_fn`. No TensorFlow here."""

from __future__ import annotations

RUN_FN = "graft.trainer.run_fn.run_fn"
"""Dotted path of the function that Trainer calls."""
MODEL_KEY = "model"
"""A `ModelConfig` as JSON."""
TRAINING_KEY = "training"
"""A `TrainingConfig` as JSON."""
CHECKPOINTS_KEY = "checkpoints"
"""Folder or URI for the checkpoints of all trainings; empty: keep none."""
CODE_FINGERPRINT_KEY = "code_fingerprint"
"""Hash of this package's code. Training resumes only from a checkpoint of this code."""
TENSORBOARD_FOLDER = "tensorboard"
"""Folder in the model run artifact: TensorBoard's event files."""
HISTORY_FILE = "history.json"
"""File in the model run artifact: each metric's value per epoch, for the report."""
STORED_FEATURES_STRATEGIES = ("feature_extraction", "linear")
"""Strategies that train on the features stored by BottleneckFeatures."""
