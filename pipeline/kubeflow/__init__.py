"""Kubeflow Pipelines v2: compile the pipeline, run its steps, submit and schedule it.

profile.py              where steps run: image, resources, pools, mounts, secrets
compiler.py             config + profile -> the two documents of a pipeline file
post_processing.py      the pure part of it: TFX's spec -> what the backend takes
refusals.py             what is refused before it fails on the cluster
runtime_parameters.py   what a recurring run may change
entrypoint.py           what runs inside each container
emulated_backend.py     runs a compiled file on this machine
api.py, submission.py, schedules.py, cronjob.py     the cluster's side
"""
