"""Names of the splits, and what each may be used for."""

TRAIN_SPLIT = "train"
"""Fits weights."""
EVAL_SPLIT = "eval"
"""Stops early, tunes, chooses."""
TEST_SPLIT = "test"
"""Read by the gate and the report alone: nothing chooses on it."""
SPLITS = (TRAIN_SPLIT, EVAL_SPLIT, TEST_SPLIT)
