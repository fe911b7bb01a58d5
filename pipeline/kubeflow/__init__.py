"""Kubeflow Pipelines v2: compile the pipeline, run its steps, submit and schedule it.

container      what runs inside each step's container
compilation    config and profile to a file for Kubeflow, or for Vertex AI
cluster        submit, follow and schedule runs
emulation      a compiled pipeline on this machine, as Kubeflow's backend runs it
profiles       deployment profiles, as YAML
"""
