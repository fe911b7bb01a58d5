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
PREPROCESSING_KEY = "preprocessing"
"""The `PreprocessingSpec` that Transform applies, as JSON."""
MODEL_STORE_KEY = "model_store"
"""JSON with `destination` and `model_name` of the model store, from whose production
the training may start; absent if it must not. The Trainer's executor reads it."""
PRODUCTION_KEY = "production"
"""What the Trainer's executor found there: a version and a folder with its head, or an
obstacle."""
SERVED_VERSION_KEY, SERVED_FOLDER_KEY = "version", "folder"
OBSTACLE_KEY = "obstacle"
"""Why there is no head to start from: a sentence without a full stop."""
TENSORBOARD_FOLDER = "tensorboard"
"""Folder in the model run artifact: TensorBoard's event files."""
HISTORY_FILE = "history.json"
"""File in the model run artifact: each metric's value per epoch, for the report."""
STORED_FEATURES_STRATEGIES = ("feature_extraction", "linear")
"""Strategies that train on the features stored by BottleneckFeatures."""
