"""Kubeflow's backend, emulated on this machine: driver, launcher and stores.

backend.py       run a compiled pipeline
pipeline_run.py  one run: order of the steps, conditions, cache, retries
driver.py        inputs and outputs of a step, without state
launcher.py      one attempt of one container
store.py         object store and metadata store
"""
