"""The model store: publish a blessed model as a version, atomically.

store.py         publish, roll back, promote, remove old versions
version_choice.py    which version may be promoted or restored
version_folders.py   create and remove a version folder in one step
production.py    what is in production, and whether it still is what a verdict names
journal.py       the change that is under way, for the next process after a kill
store_lock.py    the lock of a change, and the clean-up after a kill
damage.py        find and mend damaged files
store_files.py   read and write files of which any may be damaged
audit.py         the audit log: who changed what, and why
versions.py      the versions of a model, their manifests and hashes
labels.py        version labels, and TensorFlow Serving's config for them
run_view.py      the store as a run sees it: a repeated run sees the same
last_run.py      notes on the data of the last run, for the next one
drift.py         drift.json: has the data drifted from production's?
provenance.py    the origin of a model, for its manifest
served_model.py  the component that fetches the model in production for the gate
served_head.py   copies the head in production for a training to start from
executor.py, config.py   the executor of TFX's Pusher, and its config

Nothing else writes into the model store. `evaluation` and `canary` decide whether a
model may be pushed.
"""
