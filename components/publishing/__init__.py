"""The model store: a blessed model becomes a version that appears whole or not at all.

store.py         publish, roll back, promote, prune
versions.py      the versions of a model, their manifests and hashes
labels.py        version labels, and TensorFlow Serving's config for them
run_view.py      what a run sees of the store, such that a repeated run sees the same
last_run.py      the data of the last run, for the run after it
drift.py         whether the model in production knows today's data
provenance.py    what a manifest says of a model's origin
served_model.py  the component that fetches the model in production for the gate
executor.py, config.py   the executor of TFX's Pusher, and its config

Nothing else writes into the model store. Whether a model may be pushed is decided in
`evaluation` and `canary`.
"""
