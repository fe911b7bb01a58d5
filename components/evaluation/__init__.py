"""The gate: evaluate a candidate model and decide whether it may be pushed.

answers.py       find the answers of candidate and baseline about `test`
answer_store.py, answer_ways.py   what is remembered, and how answers were found
inference.py, exported_model.py   ask models about the images
predictions.py   the predictions, as a file that is read without TensorFlow
comparison.py, calibration.py   statistics of the predictions
absolute_rules.py, baseline_rules.py, largest_class.py   the rules of the gate
rules.py         apply all rules
verdict.py       the decision, as a file
signatures.py    compare the signatures of candidate and baseline
baseline.py      the artifact that carries the model in production to the gate
tfma_metrics.py  the predictions as TFMA's files, on demand
component.py, executor.py, config.py   the TFX component and its config

`publishing` knows where models are stored and which one is served.
"""
