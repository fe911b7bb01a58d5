"""The gate: which evidence a candidate model must bring before it may be pushed.

inference.py     run models on the `test` split
predictions.py   the answers, as a file that others read without TensorFlow
comparison.py, calibration.py   statistics of the answers
rules.py         every rule of the gate
verdict.py       the decision, as a file
signatures.py    what clients of the baseline rely on
baseline.py      the artifact in which the model in production reaches the gate
tfma_metrics.py  the same answers as TFMA's files, on demand
component.py, executor.py, config.py   the TFX component and its config

Where models are kept and which one is served is known in `publishing`.
"""
