"""Names of the splits and their purposes."""

TRAIN_SPLIT = "train"
"""For fitting weights."""
EVAL_SPLIT = "eval"
"""For early stopping, tuning and model selection."""
TEST_SPLIT = "test"
"""For the gate and the report only, never for model selection."""
SPLITS = (TRAIN_SPLIT, EVAL_SPLIT, TEST_SPLIT)
