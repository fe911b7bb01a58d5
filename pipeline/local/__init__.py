"""Run the pipeline on this machine, and read the results of its runs.

runner.py            run the pipeline
early_canary.py      start the canary's server early
progress_display.py  live display of a run
run_log.py           logs to a file
run_result.py        result of the latest run
run_history.py       earlier runs
last_run.py          pipeline of the latest run
run_names.py         names of a run and its model
stored_features.py   features that the latest run stored
metadata_store.py    read the metadata store
summary.py           text at the end of a run
"""
